/**
 * Two streams joined within a time bound, per key: an order with the payment that follows within an hour.
 *
 * Time is as in windows: the key's watermark is its highest event time, of either side, less `disorderMs`. An event before the
 * watermark is late: it meets nothing and is counted. An event is kept until the watermark is past all that it could meet; if it met
 * nothing until then it is told as unmatched. `plugin-sdk/WINDOWS.md` of Wasmill's sources has the rules in full.
 */

/** An event that can meet no other any more and met none. */
export type Unmatched<L, R> = { side: "left"; value: L } | { side: "right"; value: R };

/** What an event did. */
export interface Joined<L, R> {
  /** The pairs of left and right that it makes with those kept of the other side, by their time. */
  pairs: [left: L, right: R][];
  /** Those kept that can meet no other any more and met none: the left side's by time, then the right side's. */
  unmatched: Unmatched<L, R>[];
  /** Whether it came before the watermark, and so met nothing. */
  late: boolean;
}

/** The events of a key that may still meet others. {@link Join} works on it. */
export class Held<L = any, R = any> {
  /** The time before which events are late; undefined before the first event. */
  readonly watermarkNs: bigint | undefined;
  /** How many events came too late. */
  readonly late: number;
  /**
   * How many events gave way to others for want of room; what they would have met later is lost, and those that met nothing are never
   * told as unmatched.
   */
  readonly evicted: number;
  /** How many events are kept, of both sides. */
  readonly pieces: number;
  /** What is stored: a value with a JSON form. */
  dump(): unknown;
}

/** A join within a time bound. The events are anything with a JSON form. */
export class Join<L = any, R = any> {
  /**
   * Joins an event of the left side with those of the right side that are at most so much earlier and later, both included.
   * @param options `disorderMs`: how far out of order events come. `capacity`: how many events each side keeps at most, 1,000 if it
   * is not said; without room the oldest gives way, is counted, and is never told as unmatched.
   * @throws {WindowError} if a length is over ten years or no whole number of milliseconds.
   */
  constructor(beforeMs: number, afterMs: number, options?: { disorderMs?: number; capacity?: number });
  /** Adds an event of the left side. */
  left(held: Held<L, R>, timeNs: bigint, value: L): Joined<L, R>;
  /** Adds an event of the right side. */
  right(held: Held<L, R>, timeNs: bigint, value: R): Joined<L, R>;
  /** Lets time pass on the plugin clock, and tells those that can meet no other any more and met none. */
  advance(held: Held<L, R>, nowNs: bigint): Unmatched<L, R>[];
  /** When {@link Join.advance} has something to do, on the plugin clock; undefined if nothing is kept. */
  due(held: Held<L, R>): bigint | undefined;
  /**
   * What {@link Held.dump} gave.
   * @throws {TypeError} if it is something else.
   */
  load(stored: unknown): Held<L, R>;
  /**
   * {@link Join.left} or {@link Join.right} in an event's handler, with the events that a state field holds for the event's key. A
   * timer with the name of the field is set for when an event can meet no other any more; let {@link Join.onTimer} answer it.
   */
  onEvent(field: string, timeNs: bigint, side: "left", value: L): Joined<L, R>;
  onEvent(field: string, timeNs: bigint, side: "right", value: R): Joined<L, R>;
  /** {@link Join.advance} in the plugin's `onTimer`: tells those that met no other, and sets the timer for the next. */
  onTimer(field: string): Unmatched<L, R>[];
}
