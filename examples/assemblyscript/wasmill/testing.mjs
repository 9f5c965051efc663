// Runs a plugin's core module in Node, without an engine: for its author's unit tests.

const LEVELS = ["trace", "debug", "info", "warn", "error"];
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * Makes an instance of a plugin.
 *
 * @param {Uint8Array} bytes What the compiler made.
 * @param {Record<string, unknown>} config The `[config]` table of its manifest.
 * @returns An object with `log`, the lines so far, and `handle(event)`, which answers `{ outputs }`, `{ retry }` or
 * `{ reject }`. An event has the fields that it has in the plugin; those left out have a value of some kind.
 */
export async function plugin(bytes, config = {}) {
  const log = [];
  const { instance } = await WebAssembly.instantiate(bytes, imports(log, config, () => new Memory(instance.exports)));
  const { exports } = instance;
  exports._initialize();
  const handle = (event) => {
    const memory = new Memory(exports);
    const answer = exports["wasmill:plugin/handler@0.1.0#handle"](memory.event(event));
    const told = memory.answer(answer);
    exports["cabi_post_wasmill:plugin/handler@0.1.0#handle"](answer);
    return told;
  };
  return { log, handle };
}

function imports(log, config, memory) {
  const text = (value) => (typeof value === "string" ? value : JSON.stringify(value));
  return {
    "wasmill:plugin/log@0.1.0": {
      log(level, message, length, fields, count) {
        const read = memory();
        log.push({ level: LEVELS[level], message: read.slice(message, length), fields: read.pairs(fields, count) });
      },
    },
    "wasmill:plugin/clock@0.1.0": { now: () => 0n },
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

  bytes(at, bytes) {
    const start = this.exports.cabi_realloc(0, 0, 1, bytes.length);
    new Uint8Array(this.exports.memory.buffer).set(bytes, start);
    this.view.setUint32(at, start, true);
    this.view.setUint32(at + 4, bytes.length, true);
  }

  text(at, text) {
    this.bytes(at, encoder.encode(text));
  }

  option(at, text) {
    this.view.setUint8(at, text === null ? 0 : 1);
    if (text !== null) this.text(at + 4, text);
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
