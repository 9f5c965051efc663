// What the engine calls for a timer. Beside `exports`, for plugins that have a handler for timers.

import { ownBytes, ownText } from "./abi";
import { written } from "./exports";
import { Timer, timerHandler } from "./timer";

export function wasmillOnTimer(
  name: usize,
  nameLength: u32,
  key: usize,
  keyLength: u32,
  due: u64,
  data: usize,
  dataLength: u32,
): usize {
  const timer = new Timer(ownText(name, nameLength), ownText(key, keyLength), due, ownBytes(data, dataLength));
  return written(timerHandler(timer));
}
