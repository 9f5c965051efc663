/**
 * What a plugin has beside the language itself. There is no `setTimeout`, no network and no files: a handler does its work in one
 * call, with what its event and its config bring. `Date` reads the plugin clock, and `Math.random` draws from the event.
 */

/** Lines in the engine's log; an error arrives with its stack. */
declare const console: {
  trace(...values: unknown[]): void;
  debug(...values: unknown[]): void;
  log(...values: unknown[]): void;
  info(...values: unknown[]): void;
  warn(...values: unknown[]): void;
  error(...values: unknown[]): void;
  assert(holds: unknown, ...values: unknown[]): void;
};

/** Text as UTF-8. */
declare class TextEncoder {
  readonly encoding: "utf-8";
  encode(text?: string): Uint8Array;
  encodeInto(text: string, target: Uint8Array): { read: number; written: number };
}

/** UTF-8 as text; other encodings are refused. */
declare class TextDecoder {
  constructor(encoding?: string, options?: { fatal?: boolean; ignoreBOM?: boolean });
  readonly encoding: "utf-8";
  readonly fatal: boolean;
  readonly ignoreBOM: boolean;
  decode(bytes?: ArrayBuffer | ArrayBufferView): string;
}

/** A deep copy of plain values, maps, sets, dates, errors and byte arrays. */
declare function structuredClone<T>(value: T): T;

/** Text of base 64 as text of the code points 0 to 255. */
declare function atob(text: string): string;

/** Text of the code points 0 to 255 as text of base 64. */
declare function btoa(text: string): string;

/** Runs a function before the call ends, after what runs now. */
declare function queueMicrotask(callback: () => void): void;
