// What the engine calls. The entry file of a plugin says `export * from "./wasmill/exports"`; the compiler's transform beside
// this file gives these functions the names that the contract has for them.

import { Area } from "./abi";
import { Answer } from "./answer";
import { takeEvent } from "./event";
import { takeRefusal } from "./keyed";
import { about, handler } from "./plugin";

export let area: Area = new Area();

/** Writes an answer down; what was refused, and not asked for, takes the place of one that is well. */
export function written(answer: Answer): usize {
  const refusal = takeRefusal();
  const last = refusal !== null && answer.ok ? refusal.answer() : answer;
  const to = area.reserve(40);
  last.write(to, area);
  return to;
}

export function wasmillHandle(event: usize): usize {
  return written(handler(takeEvent(event)));
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
