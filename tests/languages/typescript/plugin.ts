// Does what every language must: see the README.md of the folder above.

import {
  type About,
  type Event,
  type Handler,
  type Migrated,
  Output,
  Refused,
  Reject,
  Retry,
  type Timer,
  clock,
  config,
  log,
  lookup,
  random,
  state,
  timers,
} from "wasmill";

const OUT = "conformance.out";

export const about: About = {
  name: "conformance",
  version: "1.2.3",
  summary: "Does what every language must",
  subjects: ["conformance.in.>"],
  emits: ["conformance.out.>"],
};

let counted = 0;

export function handle(event: Event): ReturnType<Handler> {
  const token = event.subject.slice(event.subject.lastIndexOf(".") + 1);
  const does = tokens.get(token);
  if (!does) {
    throw new Reject(`unknown token ${token}`);
  }
  return does(event);
}

export function onTimer(timer: Timer): Output {
  const headers = { "x-name": timer.name, "x-key": timer.key, "x-due": String(timer.dueNs), "x-now": String(clock.now()) };
  return new Output(`${OUT}.timer`, answers(timer.text()), { headers });
}

export function migrate(version: string, name: string, value: Uint8Array): Migrated {
  if (name === "drop") {
    return null;
  }
  if (name === "bad") {
    throw new Error(`bad of ${version}`);
  }
  return joined([new TextEncoder().encode(`${version}:`), value]);
}

function echo(event: Event): Output {
  const headers: [string, string][] = [
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

function transform(event: Event): Output {
  const tags = event.field("tags", "array");
  return Output.json(OUT, {
    id: event.field("id", "string"),
    doubled: event.field("amount", "number") * 2,
    name: event.field("name", "string"),
    tags: tags.toReversed(),
    count: tags.length,
  });
}

function* many(event: Event): Iterable<Output> {
  const count = event.field("count", "integer");
  for (let i = 0; i < count; i += 1) {
    yield new Output(`${OUT}.${i}`, String(i));
  }
}

function explode(): never {
  throw new Error("boom");
}

function loop(): never {
  for (;;);
}

function hog(): never {
  const kept: Uint8Array[] = [];
  for (;;) {
    kept.push(new Uint8Array(1 << 20).fill(1));
  }
}

function deep(): number {
  return 1 + deep();
}

function table(): Output {
  const headers = { "x-limit": config.text("limit") ?? "none", "x-missing": config.text("missing") ?? "none" };
  return Output.json(OUT, config.all(), { headers });
}

function lines(): void {
  [log.trace, log.debug, log.info, log.warn, log.error].forEach((line, index) =>
    line("line ü", { n: index + 1, lang: "typescript" }),
  );
}

function draw(): Output {
  const hex = (number: bigint) => number.toString(16).padStart(16, "0");
  const numbers = `${hex(random.next())} ${hex(random.next())}`;
  const bytes = Array.from(random.bytes(8), (byte) => byte.toString(16).padStart(2, "0"));
  return new Output(OUT, `${numbers} ${bytes.join("")}`);
}

function swap(event: Event): Output {
  const before = state.get("raw");
  state.set("raw", event.data);
  return new Output(OUT, before ?? "", { headers: { "x-before": before === undefined ? "no" : "yes" } });
}

function answers(text: string): Uint8Array {
  const lines = text === "" ? [] : text.split("\n").map(obey);
  return joined(lines.flatMap((line, index) => (index === 0 ? [line] : [Uint8Array.of(10), line])));
}

function joined(parts: Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  parts.reduce((start, part) => (all.set(part, start), start + part.length), 0);
  return all;
}

function obey(line: string): Uint8Array {
  const [command = "", ...words] = line.split(" ");
  const does = commands.get(command);
  if (!does) {
    throw new Reject(`unknown command ${command}`);
  }
  // The last word is the rest of the line.
  const last = does.length - 1;
  const given = [...words.slice(0, last), words.slice(last).join(" ")];
  try {
    const answer = does(...given) ?? "ok";
    return typeof answer === "string" ? new TextEncoder().encode(answer) : answer;
  } catch (err) {
    if (err instanceof Refused) {
      return new TextEncoder().encode(["error", err.kind, err.limit ?? []].flat().join(" "));
    }
    throw err;
  }
}

function value(found: Uint8Array | undefined): string | Uint8Array {
  return found === undefined ? "none" : joined([new TextEncoder().encode("value "), found]);
}

const commands = new Map<string, (...words: string[]) => string | Uint8Array | void>([
  ["get", (name: string) => value(state.get(name))],
  ["set", (name: string, data: string) => state.set(name, data)],
  ["delete", (name: string) => state.delete(name)],
  ["names", (prefix: string) => ["names", ...state.names(prefix)].join(" ")],
  ["at", (name: string, due: string, data: string) => timers.set(name, BigInt(due), data)],
  ["after", (name: string, wait: string, data: string) => timers.after(name, Number(wait), data)],
  ["cancel", (name: string) => timers.cancel(name)],
  ["lookup", (table: string, key: string) => value(lookup.get(table, key))],
  ["fail", (_: string) => { throw new Reject("never: ü"); }],
  ["count", (name: string, n: string) => `value ${new state.Counter(name).add(BigInt(n))}`],
  ["push", (name: string, most: string, item: string) => `value ${new state.List(name, Number(most)).push(item)}`],
  ["put", (name: string, key: string, item: string) => void new state.Map(name).set(key, item)],
  ["add", (name: string, member: string) => (new state.Set(name).add(member) ? "value new" : "value known")],
]);

const tokens = new Map<string, Handler>([
  ["echo", echo],
  ["plain", () => new Output(OUT, "plain")],
  ["transform", transform],
  ["many", many],
  ["none", () => {}],
  ["retry", () => { throw new Retry("not yet: ü", { afterMs: 1_500 }); }],
  ["retry-default", () => { throw new Retry("whenever"); }],
  ["reject", () => { throw new Reject("never: ü"); }],
  ["raise", explode],
  // TypeScript cannot end by a trap.
  ["trap", explode],
  ["loop", loop],
  ["hog", hog],
  ["deep", () => void deep()],
  ["config", table],
  ["log", lines],
  ["print", () => console.log("printed ü")],
  ["clock", () => new Output(OUT, String(clock.now()))],
  ["random", draw],
  ["count", () => new Output(OUT, String((counted += 1)))],
  ["script", (event) => new Output(OUT, answers(event.text()))],
  ["swap", swap],
]);
