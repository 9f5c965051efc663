// The engine that unit tests under node have, for a plugin without a key.

import { answer } from "./answer.js";
import { cache, engine } from "./host.js";
import { Event } from "./index.js";

/** The time of a test that sets none: 2026-01-01T00:00:00Z. */
export const DEFAULT_NOW_NS = 1_767_225_600_000_000_000n;

const LEVELS = ["trace", "debug", "info", "warn", "error"];

/** An event as a handler receives it: bytes are its payload as they are, anything else becomes JSON. */
export function event(data = null, attributes = {}) {
  const payload = data instanceof Uint8Array ? data : new TextEncoder().encode(JSON.stringify(data));
  const {
    id = "test-1",
    source = "nats:TEST",
    type = "nats.message",
    subject = "test.subject",
    timeNs = DEFAULT_NOW_NS,
    key,
    headers = [],
    attempt = 1,
    replyTo,
  } = attributes;
  const pairs = Array.isArray(headers) ? headers : Object.entries(headers);
  return new Event(id, source, type, subject, timeNs, key, pairs, payload, attempt, replyTo);
}

/** An engine that runs one handler. One serves at a time: a new one takes the place of the one before. */
export class Test {
  #handle;

  constructor(handle, { config = {}, nowNs = DEFAULT_NOW_NS, seed = 0, tables = {} } = {}) {
    this.#handle = handle;
    this.lines = [];
    this.nowNs = nowNs;
    engine.config = config;
    engine.tables = tables;
    engine.record = undefined;
    cache.table = undefined;
    cache.hasOnTimer = true;
    engine.now = () => this.nowNs;
    engine.log = (level, message, fields) => this.#log(level, message, fields);
    engine.randomNext = numbers(BigInt(seed));
  }

  send(data, attributes) {
    return answer(this.#handle, data instanceof Event ? data : event(data, attributes), "handle");
  }

  #log(level, message, flat) {
    const fields = {};
    for (let index = 0; index < flat.length; index += 2) {
      fields[flat[index]] = flat[index + 1];
    }
    this.lines.push({ level: LEVELS[level], message, fields });
  }
}

// SplitMix64, by Steele, Lea and Flood (2014): a counter whose steps a mixing function scatters.
function numbers(seed) {
  let state = BigInt.asUintN(64, seed);
  return () => {
    state = BigInt.asUintN(64, state + 0x9e3779b97f4a7c15n);
    let mixed = BigInt.asUintN(64, (state ^ (state >> 30n)) * 0xbf58476d1ce4e5b9n);
    mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn);
    return mixed ^ (mixed >> 31n);
  };
}
