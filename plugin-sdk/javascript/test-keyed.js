// A plugin with a key in native unit tests, run as an engine runs it.

import { answer, migrated } from "./answer.js";
import { engine, stored } from "./host.js";
import { Event, Refused, Retry, Timer } from "./index.js";
import { Record, isNamed } from "./test-record.js";
import { Test, event } from "./test-engine.js";
import { nanoseconds } from "./timers.js";

/** The most timers that one call fires: one that sets itself again without moving on would never end. */
const FIRINGS_MAX = 100_000;

/** An engine that runs a plugin with a key. `testing.d.ts` says how. */
export class Keyed extends Test {
  #plugin;
  #limits;
  #records = new Map();
  #stale = new Map();
  #at;

  constructor(plugin, { recordKib = 256, timers = 1_000, ...settings } = {}) {
    super(typeof plugin === "function" ? plugin : plugin.handle, settings);
    this.#plugin = typeof plugin === "function" ? { handle: plugin } : plugin;
    this.#limits = { recordBytes: recordKib * 1_024, timers };
    engine.now = () => this.#at ?? this.nowNs;
    engine.record = this.#record("");
  }

  send(data, attributes) {
    const given = data instanceof Event ? data : event(data, { timeNs: this.nowNs, ...attributes });
    if (!isNamed(given.key ?? "")) {
      throw new RangeError('an event of a plugin with a key has one of 1 to 256 bytes; send(data, { key: "customer-1" })');
    }
    return then(this.advanceTo(given.timeNs), (fired) => {
      const handle = () => answer(this.#plugin.handle, given, "handle");
      return then(this.#call(given.key, given.timeNs, handle), (outputs) => [...fired, ...outputs]);
    });
  }

  advance(waitMs) {
    return this.advanceTo(this.nowNs + nanoseconds(waitMs, "advance"));
  }

  advanceTo(nowNs) {
    if (nowNs > this.nowNs) {
      this.nowNs = nowNs;
    }
    return this.#fireDue([], 0);
  }

  #fireDue(outputs, fired) {
    for (let due; (due = this.#earliest()); ) {
      fired += 1;
      if (fired > FIRINGS_MAX) {
        throw new Error(`${FIRINGS_MAX} timers fired, the last for key "${due.key}": does it set itself anew?`);
      }
      const more = this.#fire(due);
      if (typeof more.then === "function") {
        return more.then((settled) => this.#fireDue([...outputs, ...settled], fired));
      }
      outputs.push(...more);
    }
    return outputs;
  }

  state(key) {
    const record = this.#record(key);
    return Object.fromEntries(record.names("").map((name) => [name, new TextDecoder().decode(record.get(name))]));
  }

  bytes(key, name) {
    return this.#record(key).get(name);
  }

  get(key, name, fallback) {
    const data = this.bytes(key, name);
    return data === undefined ? fallback : JSON.parse(new TextDecoder().decode(data));
  }

  set(key, name, data) {
    const record = this.#record(key);
    record.fields.set(name, stored(data));
    this.#records.set(key, record);
  }

  timers(key) {
    return this.#record(key)
      .inOrder()
      .map(({ name, dueNs, data }) => new Timer(name, key, dueNs, data));
  }

  upgradedFrom(version) {
    this.#stale = new Map([...this.#records.keys()].map((key) => [key, version]));
  }

  #record(key) {
    return this.#records.get(key) ?? new Record(this.#limits);
  }

  #earliest() {
    let earliest;
    for (const key of [...this.#records.keys()].sort()) {
      const [timer] = this.#records.get(key).inOrder();
      if (timer && timer.dueNs <= this.nowNs && (earliest === undefined || timer.dueNs < earliest.timer.dueNs)) {
        earliest = { key, timer };
      }
    }
    return earliest;
  }

  #fire({ key, timer: { name, dueNs, data } }) {
    const { onTimer } = this.#plugin;
    if (onTimer === undefined) {
      throw new TypeError(`timer "${name}" came due, and the plugin has no function onTimer; new Keyed({ handle, onTimer })`);
    }
    const fire = () => {
      engine.record.cancel(name);
      return answer(onTimer, new Timer(name, key, dueNs, data), "onTimer");
    };
    const fail = (err) => {
      if (!(err instanceof Retry || (err instanceof Refused && err.mayPass))) {
        this.#records.get(key).timers.delete(name);
      }
      throw err;
    };
    return then(() => this.#call(key, dueNs, fire), undefined, fail);
  }

  #call(key, at, called) {
    const record = this.#record(key).copy();
    this.#at = at;
    const commit = (outputs) => {
      this.#at = undefined;
      this.#records.set(key, record);
      this.#stale.delete(key);
      return outputs;
    };
    const undo = (err) => {
      this.#at = undefined;
      engine.record = this.#record(key);
      throw err;
    };
    const begin = () => {
      engine.record = record;
      return called();
    };
    return then(() => then(this.#migrate(key, record), begin), commit, undo);
  }

  #migrate(key, record) {
    const { migrate } = this.#plugin;
    const version = this.#stale.get(key);
    if (version === undefined || migrate === undefined) {
      return undefined;
    }
    const keep = (name, value) => (value === null ? record.fields.delete(name) : record.fields.set(name, stored(value)));
    return record.names("").reduce(
      (before, name) => then(before, () => then(migrated(migrate, version, name, record.get(name)), (value) => keep(name, value))),
      undefined,
    );
  }
}

// What follows an answer, which a plugin may give at once or as a promise: a function that throws is an answer, too.
function then(answered, next = (value) => value, fail = (err) => { throw err; }) {
  let value = answered;
  if (typeof answered === "function") {
    try {
      value = answered();
    } catch (err) {
      return fail(err);
    }
  }
  return typeof value?.then === "function" ? value.then(next, fail) : next(value);
}
