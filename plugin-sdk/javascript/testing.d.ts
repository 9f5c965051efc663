/**
 * The engine in unit tests under node.
 *
 * ```js
 * const test = new Test(handle, { config: { limit: 100 } });
 * const [alert] = test.send({ id: "p1", amount: 101 });
 * assert.equal(alert.subject, "alerts.large");
 * ```
 */

import type { Answer, Event, Headers, Output } from "./index.js";

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
