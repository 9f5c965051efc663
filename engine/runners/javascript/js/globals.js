// What programs expect of a JavaScript engine and QuickJS does not have, as far as a plugin may have it.

import * as host from "./host.js";
import { log, random, shown } from "./index.js";

function define(name, value) {
  Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });
}

class TextEncoder {
  encoding = "utf-8";

  encode(text = "") {
    return host.encode(String(text));
  }

  encodeInto(text, target) {
    let read = 0;
    let written = 0;
    for (const sign of String(text)) {
      const bytes = host.encode(sign);
      if (written + bytes.length > target.length) {
        break;
      }
      target.set(bytes, written);
      written += bytes.length;
      read += sign.length;
    }
    return { read, written };
  }
}

class TextDecoder {
  constructor(encoding = "utf-8", { fatal = false, ignoreBOM = false } = {}) {
    if (!/^\s*utf-?8\s*$/i.test(encoding)) {
      throw new RangeError(`TextDecoder: there is utf-8 only, not ${encoding}`);
    }
    this.encoding = "utf-8";
    this.fatal = fatal;
    this.ignoreBOM = ignoreBOM;
  }

  decode(bytes, { stream = false } = {}) {
    if (stream) {
      throw new TypeError("TextDecoder: decoding in pieces is not supported; decode the whole");
    }
    if (bytes === undefined) {
      return "";
    }
    const view = ArrayBuffer.isView(bytes)
      ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      : new Uint8Array(bytes);
    const text = this.fatal ? host.decode(view) : host.decodeLossy(view);
    return !this.ignoreBOM && text.startsWith("\uFEFF") ? text.slice(1) : text;
  }
}

define("TextEncoder", TextEncoder);
define("TextDecoder", TextDecoder);

// Errors arrive as fields with their stack, other values as text in the line.
function line(write) {
  return (...values) => {
    const fields = {};
    for (const value of values) {
      if (value instanceof Error) {
        fields.error = shown(value);
        fields.stack = host.trace(String(value.stack ?? ""));
      }
    }
    write(values.map(shown).join(" "), fields);
  };
}

define(
  "console",
  Object.freeze({
    trace: line(log.trace),
    debug: line(log.debug),
    log: line(log.info),
    info: line(log.info),
    warn: line(log.warn),
    error: line(log.error),
    assert: (holds, ...values) => holds || console.error("assertion failed:", ...values),
  }),
);

Math.random = random.float;

// As many frames of the author's as a failure tells, and the runtime's around them.
Error.stackTraceLimit = 20;

function refuse(name, why) {
  define(name, () => {
    throw new Error(`${name} is not there: ${why}`);
  });
}

const NO_TIME = "a handler does its work in one call; throw Retry with afterMs to see the event again later, or, in a plugin with a key, use `timers`";
for (const name of ["setTimeout", "setInterval", "setImmediate"]) {
  refuse(name, NO_TIME);
}
for (const name of ["clearTimeout", "clearInterval", "clearImmediate"]) {
  define(name, () => {});
}
const NO_NETWORK = "a plugin has no network; all that it needs comes in its events and its config";
for (const name of ["fetch", "XMLHttpRequest", "WebSocket"]) {
  refuse(name, NO_NETWORK);
}

define("structuredClone", (value) => copy(value, new Map()));

function copy(value, seen) {
  if (typeof value === "function" || typeof value === "symbol") {
    throw new TypeError(`structuredClone: a ${typeof value} cannot be copied`);
  }
  if (typeof value !== "object" || value === null) {
    return value;
  }
  if (seen.has(value)) {
    return seen.get(value);
  }
  const keep = (made) => {
    seen.set(value, made);
    return made;
  };
  if (value instanceof Date) {
    return keep(new Date(value));
  }
  if (value instanceof RegExp) {
    return keep(new RegExp(value.source, value.flags));
  }
  if (value instanceof ArrayBuffer) {
    return keep(value.slice(0));
  }
  if (ArrayBuffer.isView(value)) {
    return keep(new value.constructor(copy(value.buffer, seen), value.byteOffset, value.length ?? value.byteLength));
  }
  if (value instanceof Map) {
    const made = keep(new Map());
    value.forEach((inner, key) => made.set(copy(key, seen), copy(inner, seen)));
    return made;
  }
  if (value instanceof Set) {
    const made = keep(new Set());
    value.forEach((inner) => made.add(copy(inner, seen)));
    return made;
  }
  const made = keep(value instanceof Error ? bare(value) : Array.isArray(value) ? new Array(value.length) : {});
  for (const key of Object.keys(value)) {
    made[key] = copy(value[key], seen);
  }
  return made;
}

function bare(error) {
  const kind = globalThis[error.name];
  const made = new (typeof kind === "function" ? kind : Error)(error.message);
  made.stack = error.stack;
  return made;
}
