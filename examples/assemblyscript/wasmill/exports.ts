// What the engine calls. The entry file of a plugin says `export * from "./wasmill/exports"`; the compiler's transform beside
// this file gives these functions the names that the contract has for them.

import { Area } from "./abi";
import { takeEvent } from "./event";
import { about, handler } from "./plugin";

let area: Area = new Area();

export function wasmillHandle(event: usize): usize {
  const answer = handler(takeEvent(event));
  const to = area.reserve(40);
  answer.write(to, area);
  return to;
}

export function wasmillDescribe(): usize {
  const to = area.reserve(40);
  area.text(to, about.name);
  area.text(to + 8, about.version);
  area.text(to + 16, about.summary);
  area.texts(to + 24, about.subjects);
  area.texts(to + 32, about.emits);
  return to;
}

/** The engine has read an answer. Nothing of the call is on the stack any more, so this is the time to collect garbage. */
export function wasmillRead(_answer: usize): void {
  area.free();
  __collect();
}

/** Where the engine puts what it hands over. All of it is aligned to 8 bytes at most, and the heap aligns to 16. */
export function cabi_realloc(old: usize, oldSize: usize, _alignment: usize, size: usize): usize {
  if (size == 0) return 8;
  return oldSize == 0 ? heap.alloc(size) : heap.realloc(old, size);
}
