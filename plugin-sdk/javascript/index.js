// What a plugin's author imports. The same file serves a component, a source plugin and a test under node: only
// `./host.js` differs, which the runtime brings and for which node takes the stand-in beside this file.

import * as host from "./host.js";
import { jsonOf, payload, textOf, toJson } from "./data.js";
import { Reject, Retry } from "./failure.js";
import { checked, field } from "./shape.js";

export { Refused, Reject, Retry } from "./failure.js";
export * as aggregate from "./aggregate.js";
export * as join from "./join.js";
export * as lookup from "./lookup.js";
export * as pattern from "./pattern.js";
export * as state from "./state.js";
export * as timers from "./timers.js";
export { Timer } from "./timers.js";
export * as window from "./window.js";

/** One message on the bus with its CloudEvents attributes. */
export class Event {
  #json;

  // The runtime makes events by position, in the order of the contract.
  constructor(id, source, type, subject, timeNs, key, headers, data, attempt, replyTo) {
    this.id = id;
    this.source = source;
    this.type = type;
    this.subject = subject;
    this.timeNs = timeNs;
    this.key = key;
    this.headers = headers;
    this.data = data;
    this.attempt = attempt;
    this.replyTo = replyTo;
  }

  get time() {
    return new Date(Number(this.timeNs / 1_000_000n));
  }

  header(name) {
    const wanted = name.toLowerCase();
    return this.headers.find(([found]) => found.toLowerCase() === wanted)?.[1];
  }

  headerValues(name) {
    const wanted = name.toLowerCase();
    return this.headers.filter(([found]) => found.toLowerCase() === wanted).map(([, value]) => value);
  }

  text() {
    return textOf(this.data, "the payload", Reject);
  }

  json() {
    if (this.#json === undefined) {
      this.#json = jsonOf(this.data, "the payload", Reject);
    }
    return this.#json;
  }

  field(path, kind, fallback) {
    try {
      return field(this.json(), path, kind, fallback);
    } catch (err) {
      throw err instanceof TypeError ? new Reject(err.message) : err;
    }
  }
}

/** An event that a handler emits. The engine gives it its id, source and time. */
export class Output {
  constructor(subject, data = "", { type, headers } = {}) {
    this.subject = text("subject", subject);
    this.data = payload("Output", data, "Output.json");
    this.type = type === undefined || type === null ? undefined : text("type", type);
    this.headers = pairs(headers);
  }

  static json(subject, value, options) {
    const output = new Output(subject, toJson("Output.json", value), options);
    output.headers.unshift(["content-type", "application/json"]);
    return output;
  }

  bytes() {
    return typeof this.data === "string" ? host.encode(this.data) : this.data;
  }

  text() {
    return typeof this.data === "string" ? this.data : host.decode(this.data);
  }

  json() {
    return JSON.parse(this.text());
  }
}

function pairs(headers) {
  if (headers === undefined || headers === null) {
    return [];
  }
  const list = typeof headers[Symbol.iterator] === "function" ? [...headers] : Object.entries(headers);
  return list.map(([name, value]) => [text("a header's name", name), text(`header ${name}`, value)]);
}

function text(what, value) {
  if (typeof value !== "string") {
    throw new TypeError(`Output: ${what} is ${value === null ? "null" : typeof value}, not a string`);
  }
  return value;
}

/** The `[config]` table of the manifest. */
export const config = Object.freeze({
  // It does not change while a plugin runs.
  all: () => (host.cache.table ??= frozen(JSON.parse(host.configJson()))),

  get(key, fallback) {
    const found = config.all();
    return Object.hasOwn(found, key) ? found[key] : fallback;
  },

  need(key, kind) {
    const value = config.get(key);
    try {
      if (value === undefined) {
        throw new TypeError(`missing \`${key}\``);
      }
      return kind === undefined ? value : checked(value, kind, key);
    } catch (err) {
      // The event is sound and can be handled once the manifest is corrected.
      throw new Retry(`config: ${err.message}; correct the [config] table of the plugin's manifest`);
    }
  },

  text: (key) => host.configGet(key) ?? undefined,
});

function frozen(value) {
  if (typeof value === "object" && value !== null) {
    Object.values(value).forEach(frozen);
    Object.freeze(value);
  }
  return value;
}

const LEVELS = ["trace", "debug", "info", "warn", "error"];

/** Lines in the engine's log. */
export const log = Object.freeze(
  Object.fromEntries(
    LEVELS.map((name, level) => [
      name,
      (message, fields) => host.log(level, shown(message), fields ? flat(fields) : []),
    ]),
  ),
);

function flat(fields) {
  const list = [];
  for (const name of Object.keys(fields)) {
    list.push(name, shown(fields[name]));
  }
  return list;
}

/** A value as text: what it is, or JSON of it. */
export function shown(value) {
  if (typeof value === "string") {
    return value;
  }
  if (value instanceof Error) {
    return title(value);
  }
  if (typeof value === "object" && value !== null) {
    try {
      return JSON.stringify(value, (_, inner) => (typeof inner === "bigint" ? String(inner) : inner)) ?? String(value);
    } catch {
      return Object.prototype.toString.call(value);
    }
  }
  return String(value);
}

/** An error's type and text. Classes of an author's own rarely set `name`. */
export function title(error) {
  const name = error.name === "Error" ? error.constructor?.name : error.name;
  return [name, error.message].filter(Boolean).join(": ");
}

/** The plugin clock. */
export const clock = Object.freeze({
  now: () => host.now(),
  nowMs: () => Number(host.now() / 1_000_000n),
  date: () => new Date(clock.nowMs()),
});

// The most that the engine gives at a time.
const CHUNK = 65_536;

/** Randomness seeded by the event. */
export const random = Object.freeze({
  next: () => host.randomNext(),

  bytes(length) {
    if (length <= CHUNK) {
      return host.randomBytes(length);
    }
    const all = new Uint8Array(length);
    for (let start = 0; start < length; start += CHUNK) {
      all.set(host.randomBytes(Math.min(CHUNK, length - start)), start);
    }
    return all;
  },

  // The upper 53 bits: as many as a number in this range has.
  float: () => Number(host.randomNext() >> 11n) / 2 ** 53,
});
