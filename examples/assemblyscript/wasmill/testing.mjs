// Runs a plugin's core module in Node, without an engine: for its author's unit tests.

import { Record } from "./testing-keyed.mjs";

const LEVELS = ["trace", "debug", "info", "warn", "error"];
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * Makes an instance of a plugin.
 *
 * @param {Uint8Array} bytes What the compiler made.
 * @param {object} config The `[config]` table of its manifest.
 * @param {{key?: string, state?: object, tables?: object}} keyed The key, if the plugin has one, with what is stored for it; and
 * the lookup tables that are granted, each an object of its rows, or null for one that is not loaded yet.
 * @returns An object with `log`, the lines so far, and `handle(event)`, which answers `{ outputs }`, `{ retry }` or
 * `{ reject }`. An event has the fields that it has in the plugin; those left out have a value of some kind. `state()` is an
 * object of the key's fields as text, `timers()` the timers in the order in which they will fire, and `fire(untilNs)` hands over
 * those that are due by then, with the plugin clock at their time, and answers as many answers.
 */
export async function plugin(bytes, config = {}, keyed = {}) {
  const log = [];
  const clock = { now: 0n };
  const record = new Record(keyed);
  const memory = () => new Memory(instance.exports);
  const offered = { ...imports(log, config, clock, memory), ...record.imports(memory) };
  const { instance } = await WebAssembly.instantiate(bytes, offered);
  const { exports } = instance;
  exports._initialize();
  const call = (name, ...values) => {
    const answer = exports[name](...values);
    const told = memory().answer(answer);
    exports[`cabi_post_${name}`](answer);
    return told;
  };
  const step = (...values) => record.attempt(() => call(...values), (told) => told.outputs === undefined);
  const handle = (event) => step("wasmill:plugin/handler@0.1.0#handle", memory().event({ key: record.key, ...event }));
  const fire = (untilNs) => {
    const answers = [];
    for (let [due] = record.inOrder(); due?.due <= untilNs; [due] = record.inOrder()) {
      record.timers.delete(due.name);
      clock.now = due.due;
      const [name, key, data] = [due.name, record.key, due.data].map((value) => memory().place(value));
      answers.push(step("wasmill:plugin/timers@0.1.0#on-timer", ...name, ...key, due.due, ...data));
    }
    clock.now = BigInt(untilNs);
    return answers;
  };
  const state = () => Object.fromEntries([...record.fields].map(([name, value]) => [name, decoder.decode(value)]));
  return { log, handle, fire, state, timers: () => record.inOrder() };
}

function imports(log, config, clock, memory) {
  const text = (value) => (typeof value === "string" ? value : JSON.stringify(value));
  return {
    "wasmill:plugin/log@0.1.0": {
      log(level, message, length, fields, count) {
        const read = memory();
        log.push({ level: LEVELS[level], message: read.slice(message, length), fields: read.pairs(fields, count) });
      },
    },
    "wasmill:plugin/clock@0.1.0": { now: () => clock.now },
    "wasmill:plugin/config@0.1.0": {
      get(key, length, answer) {
        const to = memory();
        const value = config[to.slice(key, length)];
        to.option(answer, value === undefined ? null : text(value));
      },
      json: (answer) => memory().text(answer, JSON.stringify(config)),
    },
    "wasmill:plugin/random@0.1.0": {
      next: () => 4n,
      bytes: (length, answer) => memory().bytes(answer, new Uint8Array(length)),
    },
  };
}

/** A plugin's memory, with values as the contract lays them out. A view dies when memory grows, so each access has its own. */
class Memory {
  constructor(exports) {
    this.exports = exports;
  }

  get view() {
    return new DataView(this.exports.memory.buffer);
  }

  word(at) {
    return this.view.getUint32(at, true);
  }

  slice(start, length) {
    return decoder.decode(new Uint8Array(this.exports.memory.buffer, start, length));
  }

  read(at) {
    return this.slice(this.word(at), this.word(at + 4));
  }

  pairs(start, count) {
    return Array.from({ length: count }, (_, i) => [this.read(start + 16 * i), this.read(start + 16 * i + 8)]);
  }

  copy(start, length) {
    return new Uint8Array(this.exports.memory.buffer).slice(start, start + length);
  }

  /** Puts text or bytes into memory, and answers where they are and how many. */
  place(value) {
    const bytes = typeof value === "string" ? encoder.encode(value) : value;
    const start = this.exports.cabi_realloc(0, 0, 1, bytes.length);
    new Uint8Array(this.exports.memory.buffer).set(bytes, start);
    return [start, bytes.length];
  }

  bytes(at, bytes) {
    const [start, length] = this.place(bytes);
    this.view.setUint32(at, start, true);
    this.view.setUint32(at + 4, length, true);
  }

  text(at, text) {
    this.bytes(at, encoder.encode(text));
  }

  option(at, value) {
    this.view.setUint8(at, value === null ? 0 : 1);
    if (value !== null) this.bytes(at + 4, typeof value === "string" ? encoder.encode(value) : value);
  }

  /** Writes the result of a function of state. */
  stateAnswer(at, told) {
    this.view.setUint8(at, "error" in told ? 1 : 0);
    if ("error" in told) {
      this.view.setUint8(at + 8, told.error);
      this.view.setBigUint64(at + 16, BigInt(told.limit ?? 0), true);
    } else if ("names" in told) {
      const table = this.exports.cabi_realloc(0, 0, 4, 8 * told.names.length);
      told.names.forEach((name, i) => this.text(table + 8 * i, name));
      this.view.setUint32(at + 8, table, true);
      this.view.setUint32(at + 12, told.names.length, true);
    } else if ("option" in told) {
      this.option(at + 8, told.option);
    }
  }

  /** Writes the result of a function of timer-control. */
  timerAnswer(at, told) {
    this.view.setUint8(at, "error" in told ? 1 : 0);
    this.view.setUint8(at + 4, told.error ?? 0);
    this.view.setUint32(at + 8, told.limit ?? 0, true);
  }

  /** Writes the result of lookup. */
  lookupAnswer(at, told) {
    this.view.setUint8(at, "error" in told ? 1 : 0);
    if ("error" in told) this.view.setUint8(at + 4, told.error);
    else this.option(at + 4, told.option);
  }

  event(event) {
    const { headers = [], data = "" } = event;
    const at = this.exports.cabi_realloc(0, 0, 8, 88);
    const texts = [event.id ?? "event", event.source ?? "test", event.type ?? "test", event.subject ?? "test"];
    texts.forEach((text, i) => this.text(at + 8 * i, text));
    this.view.setBigUint64(at + 32, BigInt(event.timeNs ?? 0), true);
    this.option(at + 40, event.key ?? null);
    const table = this.exports.cabi_realloc(0, 0, 4, 16 * headers.length);
    headers.flat().forEach((text, i) => this.text(table + 8 * i, text));
    this.view.setUint32(at + 52, table, true);
    this.view.setUint32(at + 56, headers.length, true);
    this.bytes(at + 60, typeof data === "string" ? encoder.encode(data) : data);
    this.view.setUint32(at + 68, event.attempt ?? 1, true);
    this.option(at + 72, event.replyTo ?? null);
    return at;
  }

  answer(at) {
    if (this.view.getUint8(at) === 1) {
      if (this.view.getUint8(at + 8) === 1) return { reject: this.read(at + 16) };
      const afterMs = this.view.getUint8(at + 16) === 1 ? Number(this.view.getBigUint64(at + 24, true)) : null;
      return { retry: this.read(at + 32), afterMs };
    }
    const [start, count] = [this.word(at + 8), this.word(at + 12)];
    return { outputs: Array.from({ length: count }, (_, i) => this.output(start + 36 * i)) };
  }

  output(at) {
    return {
      subject: this.read(at),
      type: this.view.getUint8(at + 8) === 1 ? this.read(at + 12) : null,
      headers: this.pairs(this.word(at + 20), this.word(at + 24)),
      data: this.read(at + 28),
    };
  }
}
