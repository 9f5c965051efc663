// Passes on payments over a limit.

import { About, Answer, Event, Json, Output, config, done, emit, log, plugin, reject } from "../wasmill";

export * from "../wasmill/exports";

function handle(event: Event): Answer {
  const payment = event.json();
  const id = payment.text("id");
  const amount = payment.number("amount");
  if (payment.fault !== null) return reject(payment.fault!);

  const limit = parseFloat(config.get("limit")!);
  if (amount <= limit) return done();

  log.info("over the limit", ["payment", id, "amount", amount.toString()]);
  const alert = Json.object().set("payment", Json.ofText(id)).set("over_by", Json.ofNumber(amount - limit));
  return emit(Output.json(config.get("output")!, alert));
}

const about = new About("large-payment", "0.1.0", "Passes on payments over a limit");
about.subjects = ["payments.>"];
about.emits = ["alerts.>"];
plugin(handle, about);
