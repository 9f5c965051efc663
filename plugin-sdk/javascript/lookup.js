// Read-only reference data: tables that the manifest grants by name.

import * as host from "./host.js";
import { ask, jsonOf, named, textOf } from "./data.js";
import { Retry } from "./failure.js";

export function get(table, key) {
  named("a lookup's key", key);
  return ask(named("a lookup table's name", table), (name) => host.lookupGet(name, key)) ?? undefined;
}

export const contains = (table, key) => get(table, key) !== undefined;

// A row that makes no sense can be corrected, and the event handled then.
const read = (reader) => (table, key, fallback) => {
  const row = get(table, key);
  return row === undefined ? fallback : reader(row, `row \`${key}\` of lookup table \`${table}\``, Retry);
};

export const json = read(jsonOf);
export const text = read(textOf);
