// What the engine offers a plugin. A module imports only what it calls.

import { takeBytes, takeText, Utf8 } from "./abi";

@external("wasmill:plugin/log@0.1.0", "log")
declare function hostLog(level: u32, message: usize, messageLength: u32, fields: usize, fieldCount: u32): void;
@external("wasmill:plugin/clock@0.1.0", "now")
declare function hostNow(): u64;
@external("wasmill:plugin/config@0.1.0", "get")
declare function hostConfigGet(key: usize, keyLength: u32, answer: usize): void;
@external("wasmill:plugin/config@0.1.0", "json")
declare function hostConfigJson(answer: usize): void;
@external("wasmill:plugin/random@0.1.0", "next")
declare function hostRandomNext(): u64;
@external("wasmill:plugin/random@0.1.0", "bytes")
declare function hostRandomBytes(length: u32, answer: usize): void;

/** Where the engine writes an answer that is larger than a number: at most an `option<string>`. */
const ANSWER: usize = memory.data(12, 4);

function line(level: u32, message: string, fields: string[]): void {
  if (fields.length % 2 != 0) throw new Error("log fields are names and values by turns: one has no value");
  const coded = new Array<Utf8>(fields.length);
  const table = new StaticArray<u32>(fields.length * 2);
  for (let i = 0; i < fields.length; i++) {
    const text = new Utf8(fields[i]);
    coded[i] = text;
    table[i * 2] = text.start as u32;
    table[i * 2 + 1] = text.length;
  }
  const text = new Utf8(message);
  hostLog(level, text.start, text.length, changetype<usize>(table), (fields.length / 2) as u32);
}

/** Lines in the engine's log. `fields` are names and values by turns: `["order", id, "amount", amount]`. */
export namespace log {
  export function trace(message: string, fields: string[] = []): void {
    line(0, message, fields);
  }
  export function debug(message: string, fields: string[] = []): void {
    line(1, message, fields);
  }
  export function info(message: string, fields: string[] = []): void {
    line(2, message, fields);
  }
  export function warn(message: string, fields: string[] = []): void {
    line(3, message, fields);
  }
  export function error(message: string, fields: string[] = []): void {
    line(4, message, fields);
  }
}

/** The plugin clock: nanoseconds since the Unix epoch. It stands still while an event is handled. */
export namespace clock {
  export function now(): u64 {
    return hostNow();
  }
}

/** The `[config]` table of the manifest. */
export namespace config {
  /** One value: a string as it is, anything else as JSON text; null if the key is not set. */
  export function get(key: string): string | null {
    const coded = new Utf8(key);
    hostConfigGet(coded.start, coded.length, ANSWER);
    return load<u8>(ANSWER) == 0 ? null : takeText(ANSWER, 4);
  }

  /** The whole table as JSON text. */
  export function json(): string {
    hostConfigJson(ANSWER);
    return takeText(ANSWER, 0);
  }
}

/** Randomness that is the same whenever the same event is handled. */
export namespace random {
  /** The next 64 random bits. */
  export function next(): u64 {
    return hostRandomNext();
  }

  /** The next random bytes, at most 65,536 at a time. */
  export function bytes(length: u32): Uint8Array {
    hostRandomBytes(length, ANSWER);
    return takeBytes(ANSWER, 0);
  }
}

/** What the language calls when an error is thrown or a check of its own fails: a line in the log, and the end. */
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  const text = message === null ? "aborted" : message;
  const place = file === null ? "" : ` at ${file}:${line}:${column}`;
  log.error(text + place);
  unreachable();
}

/** Where `Math.random` takes its seed from. */
export function seed(): f64 {
  return reinterpret<f64>(hostRandomNext());
}
