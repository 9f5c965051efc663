// For plugins with a key: its state, its timers, and tables to look things up in. What a call changes takes effect together with
// its outputs, or not at all.

import { Utf8, takeBytes, takeText } from "./abi";
import { Answer, reject, retry } from "./answer";
import { clock } from "./host";
import { Json } from "./json";

@external("wasmill:plugin/state@0.1.0", "get")
declare function hostStateGet(name: usize, nameLength: u32, answer: usize): void;
@external("wasmill:plugin/state@0.1.0", "set")
declare function hostStateSet(name: usize, nameLength: u32, value: usize, valueLength: u32, answer: usize): void;
@external("wasmill:plugin/state@0.1.0", "delete")
declare function hostStateDelete(name: usize, nameLength: u32, answer: usize): void;
@external("wasmill:plugin/state@0.1.0", "names")
declare function hostStateNames(prefix: usize, prefixLength: u32, answer: usize): void;
@external("wasmill:plugin/timer-control@0.1.0", "set")
declare function hostTimerSet(name: usize, nameLength: u32, due: u64, data: usize, dataLength: u32, answer: usize): void;
@external("wasmill:plugin/timer-control@0.1.0", "cancel")
declare function hostTimerCancel(name: usize, nameLength: u32, answer: usize): void;
@external("wasmill:plugin/lookup@0.1.0", "get")
declare function hostLookup(table: usize, tableLength: u32, key: usize, keyLength: u32, answer: usize): void;

/** Where the engine writes an answer: at most a `result` of state, which is aligned to 8 bytes for the limit in its error. */
const ANSWER: usize = memory.data(24, 8);

/** Why the engine did not do what it was asked. */
export class Refusal {
  constructor(
    /** `no-key`, `too-large`, `too-many`, `bad-name`, `not-granted`, `not-ready`; of a count also `bad-value`, `overflow`. */
    public kind: string,
    /** How many bytes a record or how many timers a key may have, where that is why. */
    public limit: u64 = 0,
  ) {}

  /** A retry where the manifest is to be corrected, a table is not loaded or a field is to be migrated, and else a reject. */
  answer(): Answer {
    if (this.kind == "no-key") return retry("the plugin has no key, so no state and no timers; set `key` in the plugin's manifest");
    if (this.kind == "not-granted") return retry("a lookup table is not granted; name it in [lookup] of the plugin's manifest");
    if (this.kind == "not-ready") return retry("a lookup table is not loaded yet");
    if (this.kind == "bad-value") return retry("a state field holds no count: migrate it, or delete it");
    if (this.kind == "too-large") return reject(`the key's record would pass its limit of ${this.limit} bytes`);
    if (this.kind == "too-many") return reject(`the key has ${this.limit} timers, as many as it may have`);
    if (this.kind == "overflow") return reject("a count in the state overflows");
    return reject("the name of a state field or timer has 1 to 256 bytes");
  }
}

let first: Refusal | null = null;

/**
 * The first refusal since this was asked last. The language has no exceptions, so a refusal is kept: a handler that does not
 * ask for it, and ends well, ends with its answer instead.
 */
export function takeRefusal(): Refusal | null {
  const refusal = first;
  first = null;
  return refusal;
}

function refuse(refusal: Refusal): void {
  if (first === null) first = refusal;
}

/** Whether state did what it was asked. */
function stateDid(): bool {
  if (load<u8>(ANSWER) == 0) return true;
  const which = load<u8>(ANSWER + 8);
  if (which == 1) refuse(new Refusal("too-large", load<u64>(ANSWER + 16)));
  else refuse(new Refusal(which == 0 ? "no-key" : "bad-name"));
  return false;
}

function timerDid(): void {
  if (load<u8>(ANSWER) == 0) return;
  const which = load<u8>(ANSWER + 4);
  if (which == 1) refuse(new Refusal("too-many", load<u32>(ANSWER + 8)));
  else refuse(new Refusal(which == 0 ? "no-key" : "bad-name"));
}

/** The fields stored for the key. No other key can be reached. */
export namespace state {
  /** One field, null if it is not set. */
  export function get(name: string): Uint8Array | null {
    const coded = new Utf8(name);
    hostStateGet(coded.start, coded.length, ANSWER);
    return stateDid() && load<u8>(ANSWER + 8) != 0 ? takeBytes(ANSWER, 12) : null;
  }

  /** Sets one field. */
  export function set(name: string, value: Uint8Array): void {
    const coded = new Utf8(name);
    hostStateSet(coded.start, coded.length, value.dataStart, value.length as u32, ANSWER);
    stateDid();
  }

  /** Removes one field; one that is not set is no error. */
  export function remove(name: string): void {
    const coded = new Utf8(name);
    hostStateDelete(coded.start, coded.length, ANSWER);
    stateDid();
  }

  /** The names of the fields that begin with `prefix`, sorted. */
  export function names(prefix: string = ""): string[] {
    const coded = new Utf8(prefix);
    hostStateNames(coded.start, coded.length, ANSWER);
    const found: string[] = [];
    if (!stateDid()) return found;
    const items = load<u32>(ANSWER + 8) as usize;
    const count = load<u32>(ANSWER + 12);
    for (let i: u32 = 0; i < count; i++) found.push(takeText(items + 8 * (i as usize), 0));
    if (count > 0) heap.free(items);
    return found;
  }

  /** A field that holds JSON, null if it is not set. If it holds something else, the value's `fault` says so. */
  export function getJson(name: string): Json | null {
    const value = get(name);
    return value === null ? null : Json.parse(String.UTF8.decode(value.buffer));
  }

  /** Sets a field to JSON. */
  export function setJson(name: string, value: Json): void {
    set(name, Uint8Array.wrap(String.UTF8.encode(value.toString(), false, String.UTF8.ErrorMode.REPLACE)));
  }

  /** Adds to a field that holds a count, from zero, and answers the sum. */
  export function count(name: string, more: i64): i64 {
    const held = get(name);
    if (first !== null) return 0;
    const text = held === null ? "0" : String.UTF8.decode(held.buffer);
    const before = I64.parseInt(text);
    if (before.toString() != text) {
      refuse(new Refusal("bad-value"));
      return 0;
    }
    const sum = before + more;
    if (more < 0 ? sum > before : sum < before) {
      refuse(new Refusal("overflow"));
      return 0;
    }
    set(name, Uint8Array.wrap(String.UTF8.encode(sum.toString())));
    return sum;
  }
}

/** Timers of the key. A plugin that sets them has a handler for them: see `onTimer`. */
export namespace timers {
  /**
   * Sets a timer, in place of one of the same name. It fires once, when the plugin clock reaches `dueNs`, or as soon after as an
   * engine runs.
   */
  export function set(name: string, dueNs: u64, data: Uint8Array = new Uint8Array(0)): void {
    const coded = new Utf8(name);
    hostTimerSet(coded.start, coded.length, dueNs, data.dataStart, data.length as u32, ANSWER);
    timerDid();
  }

  /** The same, so many milliseconds from now. */
  export function after(name: string, ms: u64, data: Uint8Array = new Uint8Array(0)): void {
    const now = clock.now();
    const fits = ms <= (u64.MAX_VALUE - now) / 1000000;
    set(name, fits ? now + ms * 1000000 : u64.MAX_VALUE, data);
  }

  /** Removes a timer; one that is not set is no error. */
  export function cancel(name: string): void {
    const coded = new Utf8(name);
    hostTimerCancel(coded.start, coded.length, ANSWER);
    timerDid();
  }
}

/** Reference data that the manifest grants by name. */
export namespace lookup {
  /** One row of a table, null if it has none of this key. */
  export function get(table: string, key: string): Uint8Array | null {
    const coded = new Utf8(table);
    const row = new Utf8(key);
    hostLookup(coded.start, coded.length, row.start, row.length, ANSWER);
    const first = load<u8>(ANSWER + 4);
    if (load<u8>(ANSWER) == 0) return first == 0 ? null : takeBytes(ANSWER, 8);
    refuse(new Refusal(first == 0 ? "not-granted" : "not-ready"));
    return null;
  }
}
