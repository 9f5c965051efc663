// Card payments over a limit become alerts.

import { Output, config, log } from "wasmill";

export function handle(event) {
  const payment = event.json();
  const limit = config.get("limit");
  if (payment.amount <= limit) {
    return;
  }
  log.info("over the limit", { payment: payment.tx_id });
  const overBy = Math.round((payment.amount - limit) * 100) / 100;
  return Output.json(config.get("output"), { payment: payment.tx_id, over_by: overBy });
}
