/**
 * What is kept of many values: counts, sums, extremes, distinct members, quantiles, the most frequent.
 *
 * Each aggregate is bounded, has a compact JSON form that all languages share, and merges with another of its kind into what one
 * would be that had seen both inputs. They stand in windows, or are kept as a state value by `dump` and `load`. Several at once are
 * a list or an object of them.
 *
 * | aggregate | answers | exact | bound |
 * |---|---|---|---|
 * | `Count` | how many | yes | one integer |
 * | `Sum`, `Mean` | sum, mean | to about the last bit | two numbers |
 * | `Min`, `Max` | extremes | yes | one number |
 * | `Distinct` | how many different members | to 256, then 1.6 % standard error | 4 KiB |
 * | `Quantile` | median, 99th percentile, ... | within 0.8 % of the value | 1,024 buckets |
 * | `Top` | the labels of greatest total weight | to its capacity, then with a known error | its capacity |
 * | `Largest` | the labels of greatest score | yes | `n` labels |
 * | `Rows` | the values themselves | the first, the others are counted | its room |
 */

/** An aggregate of one's own needs these three. */
export interface Aggregate {
  /** Takes in all that another of its kind has seen. */
  merge(other: this): void;
  /** What is stored: a value with a JSON form. */
  dump(): unknown;
  /**
   * One of its kind from what is stored.
   * @throws {TypeError} if it is something else.
   */
  load(stored: unknown): this;
}

/** One aggregate, or a list or object of them. */
export type Aggregates = Aggregate | readonly Aggregates[] | { readonly [name: string]: Aggregates };

/** How many. Stored as an integer. */
export class Count implements Aggregate {
  /**
   * Counts `more`, 1 if it is not said; the count stops at the highest whole number there is.
   * @throws {Reject} if it is no whole number of 0 or more.
   */
  add(more?: number): void;
  get(): number;
  merge(other: this): void;
  dump(): unknown;
  load(stored: unknown): this;
}

/** A sum with the rounding error of its additions kept aside, so that ten times 0.1 are 1. Stored as `[sum, error]`. */
export class Sum implements Aggregate {
  /** Adds a value. One that is not finite is left out; a sum past the range of numbers stays at its end. */
  add(value: number): void;
  /** The sum; 0 of nothing. */
  get(): number;
  merge(other: this): void;
  dump(): unknown;
  load(stored: unknown): this;
}

/** The arithmetic mean. Stored as `[count, [sum, error]]`. */
export class Mean implements Aggregate {
  /** Adds a value; one that is not finite is left out. */
  add(value: number): void;
  /** The mean; undefined of nothing. */
  get(): number | undefined;
  /** How many values it is the mean of. */
  readonly count: number;
  merge(other: this): void;
  dump(): unknown;
  load(stored: unknown): this;
}

/** The least value. Stored as a number, or null of nothing. */
export class Min implements Aggregate {
  /** Adds a value; one that is not finite is left out. */
  add(value: number): void;
  /** The value; undefined of nothing. */
  get(): number | undefined;
  merge(other: this): void;
  dump(): unknown;
  load(stored: unknown): this;
}

/** The greatest value. Stored as a number, or null of nothing. */
export class Max implements Aggregate {
  /** Adds a value; one that is not finite is left out. */
  add(value: number): void;
  /** The value; undefined of nothing. */
  get(): number | undefined;
  merge(other: this): void;
  dump(): unknown;
  load(stored: unknown): this;
}

/**
 * How many different members there were: exact up to 256, past that HyperLogLog with 4,096 registers, whose standard error is
 * 1.6 % at any count. What is kept depends on the set of members only, not on their order.
 */
export class Distinct implements Aggregate {
  /** Adds a member: text, or any bytes. */
  add(member: string | Uint8Array): void;
  /** How many different members there were, or the estimate of it. */
  get(): number;
  /** Whether the count is exact. */
  readonly isExact: boolean;
  merge(other: this): void;
  dump(): unknown;
  load(stored: unknown): this;
}

/**
 * Quantiles of positive and negative numbers. An answer is within 0.8 % of a value that was added at that rank; the least and the
 * greatest are exact. Past 1,024 buckets the values nearest to zero count as zero.
 */
export class Quantile implements Aggregate {
  /** Adds a value; one that is not finite is left out. */
  add(value: number): void;
  /** The value that the fraction `q` of the values, 0 to 1, does not pass; undefined of nothing. */
  get(q: number): number | undefined;
  /** How many values were added. */
  readonly length: number;
  merge(other: this): void;
  dump(): unknown;
  load(stored: unknown): this;
}

/** A label and the weight counted for it. */
export interface Ranked {
  label: string;
  /** Its weight, or more. */
  weight: number;
  /** By how much `weight` may be too high; 0 means that it is exact. */
  error: number;
}

/**
 * The labels of greatest total weight, such as the most frequent ones: exact up to `capacity` different labels, past that the
 * Space-Saving summary, which never misses a label whose weight is over 1/`capacity` of all.
 */
export class Top implements Aggregate {
  /** @param capacity room for so many labels; take ten times as many as shall be told. */
  constructor(capacity: number);
  /**
   * Adds weight to a label: 1 for each time it comes.
   * @throws {Reject} for a weight that is no whole number of 0 or more.
   */
  add(label: string, weight?: number): void;
  /** The first `n` labels, the heaviest first; of equal weight, in the order of their bytes. */
  get(n: number): Ranked[];
  /** Whether no label was ever given up, so that all weights are exact. */
  readonly isExact: boolean;
  merge(other: this): void;
  dump(): unknown;
  load(stored: unknown): this;
}

/** A label and its score. */
export interface Scored {
  label: string;
  score: number;
}

/** The `n` labels of greatest score. A label stands once, with its greatest score. */
export class Largest implements Aggregate {
  constructor(n: number);
  /** Adds a label with its score; one that is not finite is left out. */
  add(label: string, score: number): void;
  /** The labels, the greatest score first; of equal score, in the order of their bytes. */
  get(): Scored[];
  /** The labels that share the greatest score. */
  winners(): Scored[];
  merge(other: this): void;
  dump(): unknown;
  load(stored: unknown): this;
}

/** The first values, in the order they came; those after them are counted. */
export class Rows<T = any> implements Aggregate {
  /** @param room for so many values. */
  constructor(room: number);
  /** Adds a value at the end: anything with a JSON form. Without room it is only counted. */
  add(row: T): void;
  /** The values kept. */
  get(): T[];
  /** How many values found no room. */
  readonly over: number;
  merge(other: this): void;
  dump(): unknown;
  load(stored: unknown): this;
}

/** Takes in all that another of the same kind has seen. */
export function merge<A extends Aggregates>(one: A, other: A): void;
/** An aggregate, or a list or object of them, as it is stored: a value with a JSON form. */
export function dump(aggregate: Aggregates): unknown;
/**
 * What was stored, as an aggregate of the same kind as another one.
 * @throws {TypeError} if it is something else.
 */
export function load<A extends Aggregates>(kind: A, stored: unknown): A;
