// Stands in for the engine under node. In a component the runtime brings a native module of the same exports.

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** What answers at present; `wasmill/testing` puts an engine of its own here. */
export const engine = {
  log() {},
  now: () => 0n,
  config: {},
  randomNext: () => 0n,
};

/** What is kept of the engine's answers as long as it is the same engine. */
export const cache = { table: undefined };

export const log = (level, message, fields) => engine.log(level, message, fields);
export const now = () => engine.now();
export const configJson = () => JSON.stringify(engine.config);
export const randomNext = () => engine.randomNext();
export const encode = (text) => encoder.encode(text);
export const parseJson = (data) => JSON.parse(decode(data));

export function configGet(key) {
  const value = Object.hasOwn(engine.config, key) ? engine.config[key] : undefined;
  return typeof value === "string" ? value : JSON.stringify(value);
}

export function randomBytes(length) {
  const bytes = new Uint8Array(length);
  for (let start = 0; start < length; start += 8) {
    const drawn = new Uint8Array(BigUint64Array.of(engine.randomNext()).buffer);
    bytes.set(drawn.subarray(0, Math.min(8, length - start)), start);
  }
  return bytes;
}

export function decode(data) {
  try {
    return strict.decode(data);
  } catch {
    throw new TypeError(`${data.length} bytes that are no text`);
  }
}
