/**
 * The engine in unit tests under node.
 *
 * ```js
 * const test = new Test(handle, { config: { limit: 100 } });
 * const [alert] = test.send({ id: "p1", amount: 101 });
 * assert.equal(alert.subject, "alerts.large");
 * ```
 */

import type { Answer, Event, Headers, Migrate, Output, Timer } from "./index.js";

/** The time of a test that sets none: 2026-01-01T00:00:00Z. */
export const DEFAULT_NOW_NS: bigint;

/** What an event may be given beside its payload. */
export interface Attributes {
  id?: string;
  source?: string;
  type?: string;
  subject?: string;
  timeNs?: bigint;
  key?: string;
  headers?: Headers;
  attempt?: number;
  replyTo?: string;
}

/** An event as a handler receives it: bytes are its payload as they are, anything else becomes JSON. */
export function event(data?: unknown, attributes?: Attributes): Event;

/** One line that was logged. */
export interface Line {
  level: "trace" | "debug" | "info" | "warn" | "error";
  message: string;
  fields: Record<string, string>;
}

/** What the engine is to be. */
export interface Settings {
  /** The `[config]` table. */
  config?: Record<string, unknown>;
  /** The plugin clock, nanoseconds since the Unix epoch. */
  nowNs?: bigint;
  /** Where the random numbers begin. */
  seed?: number | bigint;
  /**
   * The lookup tables by name. Their rows are bytes and text as they are, anything else becomes JSON; a table of null is not
   * loaded yet.
   */
  tables?: Record<string, Record<string, unknown> | null>;
}

/** What a handler's answer is to a test: a list of outputs, or a promise of it if the handler is async. */
export type Outputs<A> = A extends PromiseLike<any> ? Promise<Output[]> : Output[];

/** An engine that runs one handler. One serves at a time: a new one takes the place of the one before. */
export class Test<A extends Answer | Promise<Answer> = Answer> {
  constructor(handle: (event: Event) => A, settings?: Settings);
  /** The lines logged so far. */
  readonly lines: Line[];
  /** The plugin clock. */
  nowNs: bigint;
  /**
   * Hands the handler an event: an `Event`, or a payload and attributes as {@link event} takes them.
   * Throws what the handler throws, `Retry` and `Reject` among it.
   */
  send(data?: unknown, attributes?: Attributes): Outputs<A>;
}

/** A plugin with a key: its module, as `import * as plugin` has it, or its functions. */
export interface KeyedPlugin<A extends Answer | Promise<Answer> = Answer> {
  handle: (event: Event) => A;
  onTimer?: (timer: Timer) => A;
  migrate?: Migrate;
}

/** What the engine is to be for a plugin with a key. */
export interface KeyedSettings extends Settings {
  /** How much a key may have, in KiB: fields and timers, their names included. 256 if it is not said. */
  recordKib?: number;
  /** How many timers a key may have. 1,000 if it is not said. */
  timers?: number;
}

/**
 * An engine that runs a plugin with a key: state and timers for each key, effects that come true together or not at all.
 *
 * ```js
 * const engine = new Keyed(plugin);
 * engine.send({ celsius: 21 }, { key: "pump-1" });
 * const [alarm] = engine.advance(600_000);
 * ```
 *
 * An event that happened later than the clock moves it on, one that happened earlier does not move it back, and `advance` is
 * an idle time. Timers that are due by then fire first, of all keys, in order of their time, then key, then setting. During a
 * call `clock.now()` is the event's time, or the time the timer was due.
 *
 * Nothing is delivered again by itself: what a function throws comes out of the method that made it run, and has changed
 * nothing. A timer that throws `Retry` stays set, one that fails otherwise is gone.
 *
 * After a call, the functions and typed values of `state` and `timers` work on its key, for a test to look at.
 */
export class Keyed<A extends Answer | Promise<Answer> = Answer> {
  constructor(plugin: ((event: Event) => A) | KeyedPlugin<A>, settings?: KeyedSettings);
  /** The lines logged so far. */
  readonly lines: Line[];
  /** The plugin clock, nanoseconds since the Unix epoch. */
  nowNs: bigint;
  /**
   * Hands the handler an event, after the timers that are due by its time: all that they and it emit, in order. The event's
   * time is the clock's if it is not said. Throws what a function throws.
   * @throws {RangeError} if the event has no key.
   */
  send(data?: unknown, attributes?: Attributes): Outputs<A>;
  /** Lets so much time pass, in milliseconds or a bigint of nanoseconds, and fires the timers that are due by then. */
  advance(wait: number | bigint): Outputs<A>;
  /** Moves the clock on to this time and fires the timers that are due by then. A time that is past fires what is due. */
  advanceTo(nowNs: bigint): Outputs<A>;
  /** The fields of a key as text, in order of their names. */
  state(key: string): Record<string, string>;
  /** One field of a key. */
  bytes(key: string, name: string): Uint8Array | undefined;
  /** One field of a key read as JSON; `fallback` if it is not set. */
  get<T = any>(key: string, name: string, fallback?: T): T;
  /** Stores a field, as if the plugin had: bytes and text as they are, anything else as JSON. */
  set(key: string, name: string, data: unknown): void;
  /** The timers of a key that are set, in the order in which they will fire. */
  timers(key: string): Timer[];
  /**
   * Says that this older version wrote what is stored now: each key's fields go through the plugin's `migrate` before the
   * key's next event or timer.
   */
  upgradedFrom(version: string): void;
}
