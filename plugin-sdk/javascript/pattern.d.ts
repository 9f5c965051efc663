/**
 * Patterns over a key's events: sequence, repetition, negation, time bounds, skip strategies.
 *
 * A pattern is a list of stages, each with a name and a condition that sees the event and what the match holds so far:
 *
 * ```js
 * const guessed = pattern
 *   .begin("failed", (login) => !login.ok)
 *   .atLeast(3)
 *   .followedBy("in", (login) => login.ok)
 *   .within(600_000)
 *   .skip(pattern.skip.pastLast)
 *   .kept("guessed");
 *
 * export function handle(event) {
 *   return guessed.advance(event.json()).matches.map((match) => Output.json("alerts", match.last("in")));
 * }
 *
 * export const onTimer = (timer) => void guessed.onTimer(timer);
 * ```
 *
 * What every word means, to the last tie, is in `plugin-sdk/PATTERNS.md` of Wasmill's sources.
 */

import type { Reject, Retry, Timer } from "./index.js";

/**
 * The pattern, or the state it found, is not sound: a retry, since the event is and can be handled once the version that wrote the
 * state is back or the mistake is corrected.
 */
export class PatternError extends Retry {
  private constructor();
  /** `invalid`: the pattern means nothing; `changed`: the stored state is of another pattern; `corrupt`: it contradicts itself. */
  readonly kind: "invalid" | "changed" | "corrupt";
}

/** With this event unfinished matches would hold more than the limit. It does not get better by waiting. */
export class PatternFull extends Reject {
  private constructor();
  readonly kind: "full";
}

/** One event of a match. */
export interface Taken<E> {
  /** The name that the pattern gives it. */
  name: string;
  /** When it came; no earlier than the one before it. */
  timeNs: bigint;
  /** The event as it was given. */
  event: E;
}

/** A match, or an unfinished one that timed out or was evicted. */
export interface Found<E> {
  /** When it was decided: the time of the event that completed it, or the end of its time. */
  readonly atNs: bigint;
  /** Its events, in order. */
  readonly events: Taken<E>[];
  /** The events of this name, in order. */
  all(name: string): E[];
  /** The first event of this name. */
  first(name: string): E | undefined;
  /** The last event of this name. */
  last(name: string): E | undefined;
  /** From its first event to its last. */
  readonly spanNs: bigint;
}

/** What an event or a timer brought about. */
export interface Step<E> {
  /** The matches, in the order of their first events. */
  matches: Found<E>[];
  /** The unfinished ones whose time ran out. */
  timeouts: Found<E>[];
  /** The unfinished ones given up at the limit, oldest first. */
  evicted: Found<E>[];
}

/** What a match holds so far, as a condition sees it. */
export interface Seen<E> {
  /** When the event came that the condition is asked about. */
  readonly timeNs: bigint;
  /** The events of this name so far, in order. */
  all(name: string): E[];
  /** The first event of this name. */
  first(name: string): E | undefined;
  /** The last event of this name. */
  last(name: string): E | undefined;
  /** The event taken last, of whatever name. */
  readonly latest: E | undefined;
  /** When the event came that was taken last. */
  readonly latestTimeNs: bigint | undefined;
}

/** Whether an event is one. */
export type Condition<E> = (event: E, seen: Seen<E>) => unknown;

/** What goes on after a match. */
export interface Skip {
  readonly kind: "none" | "to-next" | "past-last" | "to-first" | "to-last";
  readonly name?: string;
}

/** What goes on after a match. */
export const skip: {
  /** Every match is reported: what a pattern does that does not say. */
  readonly none: Skip;
  /** One match for each first event. */
  readonly toNext: Skip;
  /** The next match begins after the last event of this one. */
  readonly pastLast: Skip;
  /** The next match begins at the first event of this name, or later. A match without one skips nothing. */
  toFirst(name: string): Skip;
  /** The next match begins at the last event of this name, or later. A match without one skips nothing. */
  toLast(name: string): Skip;
};

/** A pattern that begins with such an event. */
export function begin<E = any>(name: string, condition: Condition<E>): Pattern<E>;

/**
 * Which events, in which order, make a match.
 *
 * Stages are added front to back; `times` and the like speak of the stage added last. What is wrong with a pattern is told by its
 * first use, or by `check`.
 */
export interface Pattern<E = any> {
  /** Goes on with the very next event; anything else ends the attempt. */
  next(name: string, condition: Condition<E>): this;
  /** Goes on with the first event that is one, whatever comes before it. */
  followedBy(name: string, condition: Condition<E>): this;
  /** Goes on with each later event that is one: as many matches as there are such events. */
  followedByAny(name: string, condition: Condition<E>): this;
  /**
   * The stage added last is also met by another kind of event, which has its own name in the match. Where both conditions hold, the
   * name given first has it.
   */
  or(name: string, condition: Condition<E>): this;
  /**
   * The event right after the last one taken must not be such a one. At the end of a pattern the next event closes the match, or
   * the end of `within`.
   */
  notNext(condition: Condition<E>): this;
  /**
   * No such event may come before the next stage is met. At the end of a pattern the end of `within` closes the match: "A and no B
   * within ten minutes". After a stage that repeats it holds between the repetitions too.
   */
  notFollowedBy(condition: Condition<E>): this;
  /** The stage is met by exactly so many events. */
  times(count: number): this;
  /** The stage is met by so many to so many events, without end if `most` is left out; from 0 it is optional. */
  between(least: number, most?: number): this;
  /** The stage is met by so many or more events. */
  atLeast(least: number): this;
  /** The stage is met by one or more events. */
  oneOrMore(): this;
  /** A match may do without the stage. */
  optional(): this;
  /** As many repetitions as possible: a match leaves the stage only where it cannot take one more. */
  greedy(): this;
  /** Nothing may lie between the repetitions of the stage, where otherwise other events may. */
  consecutive(): this;
  /** Repetitions of the stage may leave out events that are one: each combination is a match. */
  combinations(): this;
  /**
   * The longest time from the first event to the last, in milliseconds or a bigint of nanoseconds: an event exactly that much later
   * is no part of the match. An attempt that is not done by then has timed out.
   */
  within(wait: number | bigint): this;
  /**
   * What goes on after a match. With `pastLast`, `toFirst` and `toLast` a match waits until all that began before it is decided. Give
   * such a pattern a `within`: without it one sequence that never ends holds back all later matches of its key.
   */
  skip(strategy: Skip): this;
  /** How much unfinished matches may hold: the sum of their lengths in events, 2,048 if it is not said. More is an error. */
  limit(entries: number): this;
  /** At the limit the unfinished matches that began first are given up, and reported as evicted, instead of an error. */
  evictOldest(): this;
  /** Keeps the pattern's state for each key, in a field and a timer of this name. */
  kept(name: string): Kept<E>;
  /**
   * Says what is wrong with the pattern, for a unit test of the plugin.
   * @throws {PatternError} with the first mistake.
   */
  check(): this;
  /**
   * Takes one event: anything with a JSON form. Unfinished matches whose time is up by then are closed first. While something is
   * under way, an event that is older than what came before it counts as of the same time.
   * @throws {PatternError} or {@link PatternFull}; the state is then as before.
   */
  advance(state: State<E>, event: E, timeNs: bigint): Step<E>;
  /**
   * Closes the unfinished matches whose time is up. Call it when `due` says so; earlier does no harm.
   * @throws {PatternError} the state is then as before.
   */
  onTime(state: State<E>, nowNs: bigint): Step<E>;
  /** When the first unfinished match runs out of time; undefined if nothing waits for time to pass. */
  due(state: State<E>): bigint | undefined;
  /** The stages as one line of text, the same in every language: a state belongs to it. */
  shape(): string;
}

/** What one key has of a pattern between events. */
export class State<E = any> {
  /** Whether nothing is under way: such a state need not be stored. */
  readonly isIdle: boolean;
  /** How many unfinished matches there are. */
  readonly unfinished: number;
  /** What is stored: a value with a JSON form. */
  dump(): unknown;
  /**
   * What `dump` gave.
   * @throws {PatternError} if it is something else.
   */
  static load<E = any>(stored: unknown): State<E>;
}

/**
 * A pattern that remembers, per key, under one name: a state field and a timer are called so. Its clock is `clock.now()`: the time
 * of the event, or of the timer.
 */
export interface Kept<E = any> {
  /** Takes one event of the current key. Matches and timeouts may also come of time that passed before it. */
  advance(event: E): Step<E>;
  /** Handles a timer of the plugin. One of another name is not the pattern's, and brings nothing about. */
  onTimer(timer: Timer): Step<E>;
}
