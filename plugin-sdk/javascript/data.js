// Bytes, text and JSON: what crosses the border to the engine, and what is kept in state.

import * as host from "./host.js";
import { Refused } from "./failure.js";

/** Bytes, or text; what it is for is told if it is neither, with what takes any other value. */
export function payload(what, data, other) {
  if (typeof data === "string" || data instanceof Uint8Array) {
    return data;
  }
  if (data instanceof ArrayBuffer) {
    return new Uint8Array(data);
  }
  if (ArrayBuffer.isView(data)) {
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  }
  throw new TypeError(`${what}: data is neither text nor bytes; ${other} takes any other value`);
}

/** A value as JSON. Throws TypeError if it has no JSON form. */
export function toJson(what, value) {
  const told = JSON.stringify(value);
  if (told === undefined) {
    throw new TypeError(`${what}: ${typeof value} has no JSON form`);
  }
  return told;
}

/** Bytes read as text; what they are of, and the error to throw if they are not. */
export function textOf(data, what, Failure) {
  try {
    return host.decode(data);
  } catch (err) {
    throw new Failure(`${what} is not UTF-8: ${err.message}`);
  }
}

/** Bytes read as JSON; what they are of, and the error to throw if they are not. */
export function jsonOf(data, what, Failure) {
  try {
    return host.parseJson(data);
  } catch (err) {
    throw new Failure(`${what} is not ${err instanceof SyntaxError ? "JSON" : "UTF-8"}: ${err.message}`);
  }
}

/** Asks the engine. It throws a list of kind and limit for what it refuses. */
export function ask(name, question) {
  try {
    return question(name);
  } catch (refused) {
    throw Array.isArray(refused) ? new Refused(refused[0], refused[1], name) : refused;
  }
}

/** A name that is a string. */
export function named(what, name) {
  if (typeof name !== "string") {
    throw new TypeError(`${what} is ${name === null ? "null" : typeof name}, not a string`);
  }
  return name;
}
