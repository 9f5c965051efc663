// From what a plugin's functions return to what the contract wants of them.

import { payload } from "./data.js";
import { Output } from "./index.js";

/**
 * Calls the plugin's function of this name with an event or a timer. A list of outputs, or a promise of it. Throws what the
 * function throws.
 */
export function answer(called, given, name) {
  const answered = called(given);
  if (answered === undefined || answered === null) {
    return [];
  }
  if (answered instanceof Output) {
    return [answered];
  }
  return typeof answered.then === "function" ? answered.then((settled) => outputs(settled, name)) : outputs(answered, name);
}

function outputs(answered, name) {
  if (answered === undefined || answered === null) {
    return [];
  }
  if (answered instanceof Output) {
    return [answered];
  }
  if (typeof answered !== "object" || typeof answered[Symbol.iterator] !== "function") {
    throw new TypeError(`${name} returned ${named(answered)}; it returns an Output, a list of them or nothing`);
  }
  const list = Array.isArray(answered) ? answered : [...answered];
  for (const output of list) {
    if (!(output instanceof Output)) {
      throw new TypeError(`${name} gave ${named(output)} as an output; it takes Output, a list of them or nothing`);
    }
  }
  return list;
}

function named(value) {
  return typeof value === "object" && value !== null ? (value.constructor?.name ?? "an object") : `${typeof value} ${String(value)}`;
}

/** Calls the plugin's function `migrate`. Text or bytes, or null to delete the field; or a promise of it. */
export function migrated(migrate, version, name, value) {
  const answered = migrate(version, name, value);
  return typeof answered?.then === "function" ? answered.then((settled) => field(settled, name)) : field(answered, name);
}

function field(answered, name) {
  if (answered === undefined) {
    // A forgotten return must not delete what was kept for years.
    throw new TypeError(`migrate returned undefined for "${name}"; return the value, or null to delete the field`);
  }
  return answered === null ? null : payload("migrate", answered, "JSON.stringify");
}
