// Stands in for the engine under node. In a component the runtime brings a native module of the same exports.

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lossy = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();

/** What answers at present; `wasmill/testing` puts an engine of its own here. */
export const engine = {
  log() {},
  now: () => 0n,
  config: {},
  randomNext: () => 0n,
  tables: {},
  record: undefined,
};

/** What is kept of the engine's answers as long as it is the same engine. */
export const cache = { table: undefined, hasOnTimer: true };

export const log = (level, message, fields) => engine.log(level, message, fields);
export const now = () => engine.now();
export const configJson = () => JSON.stringify(engine.config);
export const randomNext = () => engine.randomNext();
export const decodeLossy = (data) => lossy.decode(data);
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

// What is refused is thrown as a list of kind and limit, as the native module does.
function record() {
  if (engine.record === undefined) {
    throw ["no-key"];
  }
  return engine.record;
}

export const stateGet = (name) => record().get(name);
export const stateSet = (name, data) => record().set(name, bytesOf(data));
export const stateDelete = (name) => record().delete(name);
export const stateNames = (prefix) => record().names(prefix);
export const timerSet = (name, dueNs, data) => record().setTimer(name, dueNs, bytesOf(data));
export const timerCancel = (name) => record().cancel(name);

export function lookupGet(table, key) {
  if (!Object.hasOwn(engine.tables, table)) {
    throw ["not-granted"];
  }
  const rows = engine.tables[table];
  if (rows === null || rows === undefined) {
    throw ["not-ready"];
  }
  return Object.hasOwn(rows, key) ? stored(rows[key]) : undefined;
}

/** What a test gives to be stored: bytes and text as they are, anything else as JSON. */
export const stored = (data) =>
  typeof data === "string" || data instanceof Uint8Array ? bytesOf(data) : encode(JSON.stringify(data));

function bytesOf(data) {
  return typeof data === "string" ? encode(data) : data.slice();
}
