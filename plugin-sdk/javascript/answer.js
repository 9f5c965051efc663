// From what a handler returns to a list of outputs.

import { Output } from "./index.js";

/** Calls the handler. A list of outputs, or a promise of it. Throws what the handler throws. */
export function answer(handle, event) {
  const answered = handle(event);
  if (answered === undefined || answered === null) {
    return [];
  }
  if (answered instanceof Output) {
    return [answered];
  }
  return typeof answered.then === "function" ? answered.then(outputs) : outputs(answered);
}

function outputs(answered) {
  if (answered === undefined || answered === null) {
    return [];
  }
  if (answered instanceof Output) {
    return [answered];
  }
  if (typeof answered !== "object" || typeof answered[Symbol.iterator] !== "function") {
    throw new TypeError(`handle returned ${named(answered)}; it returns an Output, a list of them or nothing`);
  }
  const list = Array.isArray(answered) ? answered : [...answered];
  for (const output of list) {
    if (!(output instanceof Output)) {
      throw new TypeError(`handle gave ${named(output)} as an output; it takes Output, a list of them or nothing`);
    }
  }
  return list;
}

function named(value) {
  return typeof value === "object" && value !== null ? (value.constructor?.name ?? "an object") : `${typeof value} ${String(value)}`;
}
