/**
 * The contract between a plugin and the Wasmill engine.
 *
 * A plugin is a module that exports {@link Handler | `handle`}, and may export {@link TimerHandler | `onTimer`},
 * {@link Migrate | `migrate`} and {@link About | `about`}:
 *
 * ```js
 * import { Output, config } from "wasmill";
 *
 * export function handle(event) {
 *   const amount = event.field("amount", "number");
 *   if (amount > config.get("limit")) {
 *     return Output.json("alerts.large", { amount });
 *   }
 * }
 * ```
 */

import type { Timer } from "./timers.js";

export * as aggregate from "./aggregate.js";
export * as join from "./join.js";
export * as lookup from "./lookup.js";
export * as pattern from "./pattern.js";
export * as state from "./state.js";
export * as timers from "./timers.js";
export { Timer } from "./timers.js";
export * as window from "./window.js";

/** One message on the bus with its CloudEvents attributes. */
export class Event {
  private constructor();
  /** Identifies the event within its source: CloudEvents `id`, else `Nats-Msg-Id`, else stream and sequence. */
  readonly id: string;
  /** CloudEvents `source`, else `nats:` and the stream or subject the message came from. */
  readonly source: string;
  /** CloudEvents `type`, else `nats.message`. */
  readonly type: string;
  /** The subject the message was published to. */
  readonly subject: string;
  /** When it happened, nanoseconds since the Unix epoch: CloudEvents `time`, else when the stream stored it. */
  readonly timeNs: bigint;
  /** The same, to the millisecond. */
  readonly time: Date;
  /** The event's key, where the manifest names one. */
  readonly key: string | undefined;
  /** All headers that are not attributes above, in order, as name and value; a name may stand more than once. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The payload, untouched. */
  readonly data: Uint8Array;
  /** Which delivery this is, from 1. */
  readonly attempt: number;
  /** Where the publisher waits for an answer, if it does. */
  readonly replyTo: string | undefined;

  /** The first value of a header; names compare without regard to case. */
  header(name: string): string | undefined;
  /** All values of a header, in order; names compare without regard to case. */
  headerValues(name: string): string[];
  /**
   * The payload as text.
   * @throws {Reject} if it is not UTF-8, with the place.
   */
  text(): string;
  /**
   * The payload read as JSON, once: later calls give the same value.
   * @throws {Reject} if it is not JSON, with what is wrong and where.
   */
  json<T = any>(): T;
  /**
   * One field of the JSON payload; `path` goes into nested objects: `"card.country"`.
   * @param kind what the field must be; anything if left out.
   * @param fallback what to give if the field is missing.
   * @throws {Reject} if the field is missing and there is no fallback, or is of another kind.
   */
  field<K extends Kind>(path: string, kind: K, fallback?: KindType[K]): KindType[K];
  field(path: string, kind?: undefined, fallback?: unknown): any;
}

/** What a field can be asked to be. */
export interface KindType {
  string: string;
  number: number;
  /** A whole number. */
  integer: number;
  boolean: boolean;
  array: any[];
  object: Record<string, any>;
}

/** The name of a kind of value. */
export type Kind = keyof KindType;

/** Names and values; a name may stand more than once in the form of pairs. */
export type Headers = Readonly<Record<string, string>> | Iterable<readonly [name: string, value: string]>;

/** What an output may have beside subject and payload. */
export interface OutputOptions {
  /** CloudEvents `type`; the type of the event that caused it if left out. */
  type?: string;
  /** Further headers. `Nats-*`, `Wasmill-*` and CloudEvents attributes are the engine's to set. */
  headers?: Headers;
}

/** An event that a handler emits. The engine gives it its id, source and time. */
export class Output {
  /** An output of this text, as UTF-8, or of these bytes. */
  constructor(subject: string, data?: string | Uint8Array | ArrayBuffer | ArrayBufferView, options?: OutputOptions);
  /**
   * An output of this value as JSON, with `content-type: application/json`.
   * @throws {TypeError} if the value has no JSON form.
   */
  static json(subject: string, value: unknown, options?: OutputOptions): Output;

  /** Where to publish it: no wildcards, and within the emit grants of the manifest. */
  subject: string;
  /** The payload, as it was given. */
  data: string | Uint8Array;
  /** CloudEvents `type`. */
  type: string | undefined;
  /** Further headers. */
  headers: [name: string, value: string][];

  /** The payload as bytes. */
  bytes(): Uint8Array;
  /** The payload as text. */
  text(): string;
  /** The payload read as JSON. */
  json<T = any>(): T;
}

/** What a handler may return. */
export type Answer = void | undefined | null | Output | Iterable<Output>;

/**
 * Handles one event: the export `handle` of a plugin. All outputs take effect together, or none does.
 *
 * It may be async as long as it awaits only what the plugin itself brings about: there is nothing else to wait for.
 * An error other than {@link Retry} and {@link Reject} that it throws becomes a failure with its stack trace.
 */
export type Handler = (event: Event) => Answer | Promise<Answer>;

/** Handles one timer that has come due: the export `onTimer` of a plugin, with the same effects as an event has. */
export type TimerHandler = (timer: Timer) => Answer | Promise<Answer>;

/** What `migrate` returns: the field in its present shape, or null to delete it. */
export type Migrated = string | Uint8Array | null;

/**
 * Turns one state field from the shape that an older version of the plugin wrote into the present one: the export `migrate` of
 * a plugin. The engine calls it for each field of a key before the key's first event or timer. What it throws keeps the old
 * version in service. Fields of a plugin without it stay as they are.
 */
export type Migrate = (version: string, name: string, value: Uint8Array) => Migrated | Promise<Migrated>;

/** What a plugin says about itself: its export `about`. */
export interface About {
  /** The plugin's name. */
  name: string;
  /** Its version, as semantic versioning has it. */
  version?: string;
  /** One sentence for people. */
  summary?: string;
  /** The subject patterns it is made for. */
  subjects?: readonly string[];
  /** The subject patterns it emits to. */
  emits?: readonly string[];
}

/** Thrown by a handler: the event may work later and shall be delivered again. */
export class Retry extends Error {
  /**
   * @param reason why, for people.
   * @param options `afterMs`: not before this many milliseconds have passed; the plugin's configured backoff if left out.
   */
  constructor(reason?: string, options?: { afterMs?: number });
  readonly afterMs: number | undefined;
}

/** Thrown by a handler: the event will never work and becomes a dead letter with this reason. */
export class Reject extends Error {
  constructor(reason?: string);
}

/**
 * Thrown by what the engine refuses: an access to state, timers or lookup tables.
 *
 * A handler that lets it pass asks for a retry where the manifest has to be corrected or a table is not loaded yet; where a
 * limit is reached or a name makes no sense, it rejects the event.
 */
export class Refused extends Error {
  private constructor();
  readonly kind: "no-key" | "bad-name" | "too-large" | "too-many" | "not-granted" | "not-ready";
  /** The limit that would be passed: bytes of the key's record for `too-large`, timers of the key for `too-many`. */
  readonly limit: number | undefined;
  /** Whether the same access may be granted later. */
  readonly mayPass: boolean;
}

/** The `[config]` table of the manifest. */
export const config: {
  /** The whole table, frozen. */
  all(): Readonly<Record<string, any>>;
  /** One value, as the type it has in the manifest; `fallback` if the key is not set. */
  get<T = any>(key: string, fallback?: T): T;
  /**
   * One value that must be set, and of this kind.
   * @throws {Retry} naming the key if it is not: the event can be handled once the manifest is corrected.
   */
  need<K extends Kind>(key: string, kind: K): KindType[K];
  need(key: string): any;
  /** One value as text: a string as it is, anything else as JSON. */
  text(key: string): string | undefined;
};

/** Values that belong to a line of the log. Anything but a string is written as JSON. */
export type Fields = Readonly<Record<string, unknown>>;

/** Writes one line of the engine's log, marked by the engine with the plugin and the event. */
export type LogLine = (message: string, fields?: Fields) => void;

/** Lines in the engine's log. `console.log` and its siblings arrive there as well. */
export const log: Readonly<Record<"trace" | "debug" | "info" | "warn" | "error", LogLine>>;

/** The plugin clock. It stands still during a call. `Date` reads it as well. */
export const clock: {
  /** The time of the event being handled, nanoseconds since the Unix epoch. */
  now(): bigint;
  /** The same in milliseconds. */
  nowMs(): number;
  /** The same as a date. */
  date(): Date;
};

/** Randomness seeded by the event: another delivery of the same event draws the same numbers. `Math.random` too. */
export const random: {
  /** The next 64 random bits. */
  next(): bigint;
  /** The next `length` random bytes. */
  bytes(length: number): Uint8Array;
  /** The next random number from 0 up to, but not, 1. */
  float(): number;
};
