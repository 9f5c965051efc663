// The conformance plugin: what each token does stands in tests/languages/README.md.

import {
  About,
  Answer,
  Event,
  Json,
  Output,
  clock,
  config,
  done,
  emit,
  emitAll,
  log,
  onMigrate,
  onTimer,
  plugin,
  random,
  reject,
  retry,
} from "../../../../examples/assemblyscript/wasmill";
import { fired, migrated, script, swap } from "./keyed";

export * from "../../../../examples/assemblyscript/wasmill/exports";
export * from "../../../../examples/assemblyscript/wasmill/migrate-exports";
export * from "../../../../examples/assemblyscript/wasmill/timer-exports";

const OUT = "conformance.out";

let count = 0;
const hoard: StaticArray<u8>[] = [];

function handle(event: Event): Answer {
  const token = event.subject.substring(event.subject.lastIndexOf(".") + 1);
  if (token == "echo") return echo(event);
  if (token == "plain") return emit(Output.text(OUT, "plain"));
  if (token == "transform") return transform(event);
  if (token == "many") return many(event);
  if (token == "none") return done();
  if (token == "retry") return retry("not yet: ü", 1500);
  if (token == "retry-default") return retry("whenever");
  if (token == "reject") return reject("never: ü");
  if (token == "raise") explode();
  if (token == "trap") unreachable();
  if (token == "loop") while (true) {}
  if (token == "hog") hog();
  if (token == "deep") return emit(Output.text(OUT, deeper(1).toString()));
  if (token == "config") return configured();
  if (token == "log") return lines();
  if (token == "print") console.log("printed ü");
  if (token == "print") return done();
  if (token == "clock") return emit(Output.text(OUT, clock.now().toString()));
  if (token == "random") return drawn();
  if (token == "count") return emit(Output.text(OUT, (++count).toString()));
  if (token == "script") return script(event);
  if (token == "swap") return swap(event);
  return reject("unknown token " + token);
}

function echo(event: Event): Answer {
  const output = new Output(OUT, event.data)
    .withType(event.type)
    .withHeader("x-id", event.id)
    .withHeader("x-source", event.source)
    .withHeader("x-type", event.type)
    .withHeader("x-subject", event.subject)
    .withHeader("x-time", event.timeNs.toString());
  if (event.key !== null) output.withHeader("x-key", event.key!);
  output.withHeader("x-attempt", event.attempt.toString());
  if (event.replyTo !== null) output.withHeader("x-reply-to", event.replyTo!);
  for (let i = 0; i < event.headers.length; i++) {
    output.withHeader("x-h-" + event.headers[i].name, event.headers[i].value);
  }
  return emit(output);
}

function transform(event: Event): Answer {
  const data = event.json();
  const id = data.text("id");
  const amount = data.number("amount");
  const name = data.text("name");
  const tags = data.texts("tags");
  if (data.fault !== null) return reject(data.fault!);
  const changed = Json.object()
    .set("id", Json.ofText(id))
    .set("doubled", Json.ofNumber(amount * 2))
    .set("name", Json.ofText(name))
    .set("tags", Json.ofTexts(tags.reverse()))
    .set("count", Json.ofNumber(tags.length));
  return emit(Output.json(OUT, changed));
}

function many(event: Event): Answer {
  const data = event.json();
  const wanted = <i32>data.number("count");
  if (data.fault !== null) return reject(data.fault!);
  const outputs: Output[] = [];
  for (let i = 0; i < wanted; i++) outputs.push(Output.text(`${OUT}.${i}`, i.toString()));
  return emitAll(outputs);
}

function explode(): void {
  throw new Error("boom");
}

function hog(): void {
  while (true) hoard.push(new StaticArray<u8>(1 << 20).fill(1));
}

function deeper(depth: i32): i32 {
  return deeper(depth + 1) + depth;
}

function configured(): Answer {
  const limit = config.get("limit");
  const missing = config.get("missing");
  const output = Output.text(OUT, config.json());
  if (limit !== null) output.withHeader("x-limit", limit);
  return emit(output.withHeader("x-missing", missing === null ? "none" : missing));
}

function lines(): Answer {
  log.trace("line ü", ["n", "1", "lang", "assemblyscript"]);
  log.debug("line ü", ["n", "2", "lang", "assemblyscript"]);
  log.info("line ü", ["n", "3", "lang", "assemblyscript"]);
  log.warn("line ü", ["n", "4", "lang", "assemblyscript"]);
  log.error("line ü", ["n", "5", "lang", "assemblyscript"]);
  return done();
}

function drawn(): Answer {
  const first = hex(random.next());
  const second = hex(random.next());
  const bytes = random.bytes(8);
  let third = "";
  for (let i = 0; i < bytes.length; i++) third += bytes[i].toString(16).padStart(2, "0");
  return emit(Output.text(OUT, `${first} ${second} ${third}`));
}

function hex(value: u64): string {
  return value.toString(16).padStart(16, "0");
}

const about = new About("conformance", "1.2.3", "Does what every language must");
about.subjects = ["conformance.in.>"];
about.emits = ["conformance.out.>"];
plugin(handle, about);
onTimer(fired);
onMigrate(migrated);
