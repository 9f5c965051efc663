// What the engine calls for a field of an older version. Beside `exports`, for plugins that bring fields up to date.

import { ownBytes, ownText } from "./abi";
import { area } from "./exports";
import { migration } from "./migrate";

export function wasmillMigrate(
  from: usize,
  fromLength: u32,
  name: usize,
  nameLength: u32,
  value: usize,
  valueLength: u32,
): usize {
  const to = area.reserve(16);
  const migrated = migration(ownText(from, fromLength), ownText(name, nameLength), ownBytes(value, valueLength));
  migrated.write(to, area);
  return to;
}
