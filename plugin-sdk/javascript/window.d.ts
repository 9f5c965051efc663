/**
 * Windows over event time, per key: tumbling, sliding (hopping) and session windows, and aggregates that roll on.
 *
 * A window is an aggregate of the events whose time is in it. It closes when time is past its end, and then its value is told once:
 *
 * ```js
 * const minutes = window.tumbling(60_000, { disorderMs: 5_000 }).of({ n: new aggregate.Count(), amount: new aggregate.Sum() });
 * const tell = ({ window, value }) => Output.json("minutes", { from: Number(window.startNs / 1_000_000n), n: value.n.get() });
 *
 * export function handle(event) {
 *   const { closed } = minutes.onEvent("takings", event.timeNs, ({ n, amount }) => {
 *     n.add();
 *     amount.add(event.field("amount", "number"));
 *   });
 *   return closed.map(tell);
 * }
 *
 * export const onTimer = () => minutes.onTimer("takings").map(tell);
 * ```
 *
 * Each key has a watermark: the highest event time it saw, less `disorderMs`. A window closes when the watermark reaches its end; a
 * timer closes the last window of a quiet key. An event is late if its windows are closed: it is counted, {@link Added.late} tells of
 * it, and with `latenessMs` a closed window still takes it for so long and is told anew, with {@link Closed.replaces} naming what was
 * told before.
 *
 * `plugin-sdk/WINDOWS.md` of Wasmill's sources has the rules in full, for all languages.
 */

import type { Aggregates } from "./aggregate.js";
import type { Retry } from "./index.js";

/** The most pieces (panes or sessions) that one key may have open at once. */
export const MOST_PIECES: 10_000;

/**
 * The definition of a window, a rolling aggregate or a join makes no sense, or is not that of the stored windows (`changed`): a retry,
 * since the event can be handled once it is put right, or is again the one that the state was stored for.
 */
export class WindowError extends Retry {
  private constructor();
  readonly kind: "zero" | "not-whole-ms" | "too-long" | "gaps" | "too-fine" | "uneven" | "changed";
}

/** From `startNs` up to, but not including, `endNs`: nanoseconds since the Unix epoch, whole milliseconds. */
export interface Window {
  readonly startNs: bigint;
  readonly endNs: bigint;
}

/** A window that closed, or was corrected. */
export interface Closed<A> {
  window: Window;
  /** The aggregate of all its events so far. */
  value: A;
  /**
   * The windows told before that this one stands for now: none when it closes, itself when it is corrected, and for sessions also
   * those that were joined.
   */
  replaces: Window[];
}

/** What an event did. */
export interface Added<A> {
  /** The windows that it corrected or closed, in that order and by their end. */
  closed: Closed<A>[];
  /** Whether it came too late for all its windows, and so is in none. */
  late: boolean;
}

/** What a window may have beside its length, in whole milliseconds. */
export interface WindowOptions {
  /** How far out of order events come: a window stays open that much longer. */
  disorderMs?: number;
  /** How long after its close a window still takes late events, as corrections. */
  latenessMs?: number;
}

/** What a tumbling or sliding window may have beside its length. */
export interface AlignedOptions extends WindowOptions {
  /** Where windows begin, from the Unix epoch. */
  offsetMs?: number;
}

/** What a window is. */
export interface Spec {
  /**
   * Windows over this aggregate, or over a list or object of them; `empty` is what each begins with.
   * @throws {WindowError} if the lengths do not make windows, or too many pieces of them could be open at once.
   */
  of<A extends Aggregates>(empty: A): Windows<A>;
}

/** Windows of one size, one after the other: each event is in one. */
export function tumbling(sizeMs: number, options?: AlignedOptions): Spec;
/** Windows of one size of which one begins every `slideMs` (hopping windows). */
export function sliding(sizeMs: number, slideMs: number, options?: AlignedOptions): Spec;
/** Windows that last for as long as events follow each other within less than `gapMs`. */
export function session(gapMs: number, options?: WindowOptions): Spec;
/**
 * A window as a table of the config says it: `kind`, then `size_ms`, `slide_ms`, `gap_ms`, `offset_ms`, `disorder_ms` and
 * `lateness_ms` as the kind has them.
 * @throws {Retry} if the table makes no sense.
 */
export function spec(table: unknown): Spec;

/** All open windows of a key. {@link Windows} works on it. */
export class Open<A = any> {
  /** The time up to which this key's windows are closed; undefined before the first event. */
  readonly watermarkNs: bigint | undefined;
  /** How many events came too late for all their windows. */
  readonly late: number;
  /** How many pieces (panes or sessions) are kept. */
  readonly pieces: number;
  /** What is stored: a value with a JSON form. */
  dump(): unknown;
}

/** Windows over an aggregate. */
export class Windows<A extends Aggregates = Aggregates> {
  private constructor();
  /** Adds an event of this time: `change` adds it to the aggregate of its window, and is not called if it is late. */
  add(open: Open<A>, timeNs: bigint, change: (aggregate: A) => void): Added<A>;
  /**
   * Lets time pass on the plugin clock, and tells the windows that it closed, by their end. An earlier time than one before
   * changes nothing.
   */
  advance(open: Open<A>, nowNs: bigint): Closed<A>[];
  /** When {@link Windows.advance} has something to do, on the plugin clock; undefined if nothing is kept. */
  due(open: Open<A>): bigint | undefined;
  /** The windows that hold this time, by their end, with their values so far; those without an event are left out. */
  peek(open: Open<A>, timeNs: bigint): { window: Window; value: A }[];
  /**
   * What {@link Open.dump} gave.
   * @throws {TypeError} if it is something else.
   * @throws {WindowError} `changed`, if it has windows of another size, slide, offset or gap: they would be read as what they are not.
   * The disorder and the lateness may have changed.
   */
  load(stored: unknown): Open<A>;
  /**
   * {@link Windows.add} in an event's handler, to the windows that a state field holds for the event's key. A timer with the name of
   * the field is set for when the next window closes; let {@link Windows.onTimer} answer it.
   */
  onEvent(field: string, timeNs: bigint, change: (aggregate: A) => void): Added<A>;
  /** {@link Windows.advance} in the plugin's `onTimer`: closes what is due, and sets the timer for the next window. */
  onTimer(field: string): Closed<A>[];
}

/** What a key keeps of a rolling aggregate. {@link Rolling} works on it. */
export class Buckets<A = any> {
  /** How many events came when they were older than the span. */
  readonly late: number;
  /** When the latest bucket begins: an event from before it comes out of order. Undefined before the first event. */
  readonly latestNs: bigint | undefined;
  /** How many buckets are kept: those of the span that hold an event. */
  readonly pieces: number;
  /** What is stored: a value with a JSON form. */
  dump(): unknown;
}

/**
 * An aggregate over the last so much time, as of any event: velocity rules ask "how many within 24 h, this one included".
 *
 * Unlike a window it never closes: the handler asks when it wants to know. It keeps one aggregate for each bucket of time, so a span
 * is rounded to whole buckets: the one that now is in, and those before it. Events may come in any order; one older than the span is
 * late.
 */
export class Rolling<A extends Aggregates = Aggregates> {
  /**
   * @param spanMs how far back it goes.
   * @param bucketMs the length of its buckets.
   * @param empty what each begins with.
   * @throws {WindowError} if a length is zero or too long, if the bucket does not divide the span, or if there are more than 10,000.
   */
  constructor(spanMs: number, bucketMs: number, empty: A);
  /** Adds an event of this time: `change` adds it to the aggregate. Whether it is counted. */
  add(kept: Buckets<A>, timeNs: bigint, change: (aggregate: A) => void): boolean;
  /** The aggregate over the last `spanMs` as of `nowNs`; over the whole span if it is not said. */
  over(kept: Buckets<A>, nowNs: bigint, spanMs?: number): A;
  /**
   * What {@link Buckets.dump} gave.
   * @throws {TypeError} if it is something else.
   */
  load(stored: unknown): Buckets<A>;
  /** {@link Rolling.add} in an event's handler, to what a state field holds for the event's key, and what it holds then. */
  onEvent(field: string, timeNs: bigint, change: (aggregate: A) => void): Buckets<A>;
}
