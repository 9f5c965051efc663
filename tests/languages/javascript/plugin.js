// Does what every language must: see the README.md of the folder above.

import { Output, Reject, Retry, clock, config, log, random } from "wasmill";

const OUT = "conformance.out";

export const about = {
  name: "conformance",
  version: "1.2.3",
  summary: "Does what every language must",
  subjects: ["conformance.in.>"],
  emits: ["conformance.out.>"],
};

let counted = 0;

export function handle(event) {
  const token = event.subject.slice(event.subject.lastIndexOf(".") + 1);
  const does = tokens.get(token);
  if (!does) {
    throw new Reject(`unknown token ${token}`);
  }
  return does(event);
}

function echo(event) {
  const headers = [
    ["x-id", event.id],
    ["x-source", event.source],
    ["x-type", event.type],
    ["x-subject", event.subject],
    ["x-time", String(event.timeNs)],
  ];
  if (event.key !== undefined) {
    headers.push(["x-key", event.key]);
  }
  headers.push(["x-attempt", String(event.attempt)]);
  if (event.replyTo !== undefined) {
    headers.push(["x-reply-to", event.replyTo]);
  }
  for (const [name, value] of event.headers) {
    headers.push([`x-h-${name}`, value]);
  }
  return new Output(OUT, event.data, { type: event.type, headers });
}

function transform(event) {
  const tags = event.field("tags", "array");
  return Output.json(OUT, {
    id: event.field("id", "string"),
    doubled: event.field("amount", "number") * 2,
    name: event.field("name", "string"),
    tags: tags.toReversed(),
    count: tags.length,
  });
}

function* many(event) {
  const count = event.field("count", "integer");
  for (let i = 0; i < count; i += 1) {
    yield new Output(`${OUT}.${i}`, String(i));
  }
}

function explode() {
  throw new Error("boom");
}

function loop() {
  for (;;);
}

function hog() {
  const kept = [];
  for (;;) {
    kept.push(new Uint8Array(1 << 20).fill(1));
  }
}

function deep() {
  return 1 + deep();
}

function table() {
  const headers = { "x-limit": config.text("limit"), "x-missing": config.text("missing") ?? "none" };
  return Output.json(OUT, config.all(), { headers });
}

function lines() {
  [log.trace, log.debug, log.info, log.warn, log.error].forEach((line, index) =>
    line("line ü", { n: index + 1, lang: "javascript" }),
  );
}

function draw() {
  const hex = (number) => number.toString(16).padStart(16, "0");
  const numbers = `${hex(random.next())} ${hex(random.next())}`;
  const bytes = Array.from(random.bytes(8), (byte) => byte.toString(16).padStart(2, "0"));
  return new Output(OUT, `${numbers} ${bytes.join("")}`);
}

const tokens = new Map([
  ["echo", echo],
  ["plain", () => new Output(OUT, "plain")],
  ["transform", transform],
  ["many", many],
  ["none", () => {}],
  ["retry", () => { throw new Retry("not yet: ü", { afterMs: 1_500 }); }],
  ["retry-default", () => { throw new Retry("whenever"); }],
  ["reject", () => { throw new Reject("never: ü"); }],
  ["raise", explode],
  // JavaScript cannot end by a trap.
  ["trap", explode],
  ["loop", loop],
  ["hog", hog],
  ["deep", deep],
  ["config", table],
  ["log", lines],
  ["print", () => console.log("printed ü")],
  ["clock", () => new Output(OUT, String(clock.now()))],
  ["random", draw],
  ["count", () => new Output(OUT, String((counted += 1)))],
]);
