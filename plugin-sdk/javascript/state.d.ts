/**
 * The fields stored for the current key, as bytes and as typed values over them.
 *
 * What a call changes takes effect together with its outputs, once per event; no other key can be reached. A typed value is
 * made once, at the top level, and reads and writes the field of whichever key the event has:
 *
 * ```js
 * const visits = new state.Counter("visits");
 *
 * export function handle(event) {
 *   if (visits.add() === 100) {
 *     return new Output("prizes", event.key);
 *   }
 * }
 * ```
 *
 * All languages store the same: a value as JSON, a counter as an integer, a list as an array, a map's and a set's entry as a
 * field named `<name>/<entry>`. Names are of 1 to 256 bytes.
 *
 * Every access throws {@link Refused} if the plugin has no key, if the key's record would pass its limit, or for a bad name. A
 * typed value throws {@link Retry} if its field holds something else: a version of the plugin that reads the field can handle
 * the event.
 */

/** One field; undefined if it is not set. */
export function get(name: string): Uint8Array | undefined;
/** Sets one field, to bytes or to text as UTF-8. */
export function set(name: string, data: string | Uint8Array | ArrayBuffer | ArrayBufferView): void;
declare function remove(name: string): void;
export {
  /** Removes one field; one that is not set is no error. */
  remove as delete,
};
/** The names of the fields that begin with a prefix, sorted; all of them without one. */
export function names(prefix?: string): string[];

/** A field that holds one value: anything with a JSON form. */
export class Value<T = any, F extends T | undefined = undefined> {
  /** @param fallback the value of a field that is not set. */
  constructor(name: string, fallback?: F);
  readonly name: string;
  /** The value. */
  get(): T | F;
  /**
   * Sets the value.
   * @throws {TypeError} if it has no JSON form.
   */
  set(value: T): void;
  /** Sets the value to what `change` makes of it, and returns that. */
  update(change: (value: T | F) => T): T;
  /** Removes the field. */
  delete(): void;
}

/** A field that holds a whole number, from zero. It stays at the largest or smallest number of 64 bits. */
export class Counter {
  constructor(name: string);
  readonly name: string;
  /** The count. */
  get(): number;
  /** The same to the last digit, where it is more than a number holds. */
  getBigInt(): bigint;
  /** Adds to the count, 1 if it is not said, and returns it: a bigint if one was added. */
  add(more?: number): number;
  add(more: bigint): bigint;
  /** Sets the count. */
  set(count: number | bigint): void;
  /** Removes the field. */
  delete(): void;
}

/** A field that holds the last few of the values that were appended. */
export class List<T = any> implements Iterable<T> {
  /** @param most how many it keeps, from 1. */
  constructor(name: string, most: number);
  readonly name: string;
  readonly most: number;
  readonly length: number;
  /** The values, the oldest first. */
  get(): T[];
  /** Appends values, drops the oldest beyond `most`, and returns how many there are. */
  push(...values: T[]): number;
  /** Replaces the values, of which the last are kept. */
  set(values: Iterable<T>): void;
  /** Removes the field. */
  delete(): void;
  [Symbol.iterator](): IterableIterator<T>;
}

/** Values by text, each entry a field of its own, in order of the keys. */
declare class StateMap<V = any> implements Iterable<[key: string, value: V]> {
  constructor(name: string);
  readonly name: string;
  readonly size: number;
  /** An entry; `fallback` if there is none. */
  get(key: string): V | undefined;
  get<F>(key: string, fallback: F): V | F;
  /** Sets an entry. */
  set(key: string, value: V): this;
  /** Sets an entry to what `change` makes of it, and returns that. */
  update(key: string, change: (value: V | undefined) => V): V;
  /** Whether there is an entry. */
  has(key: string): boolean;
  /** Removes an entry. Whether there was one. */
  delete(key: string): boolean;
  /** Removes all entries. */
  clear(): void;
  keys(): string[];
  values(): V[];
  entries(): [key: string, value: V][];
  [Symbol.iterator](): IterableIterator<[key: string, value: V]>;
}

/** Texts, each once, each a field of its own, in order. */
declare class StateSet implements Iterable<string> {
  constructor(name: string);
  readonly name: string;
  readonly size: number;
  /** Adds a member. Whether it is new. */
  add(member: string): boolean;
  /** Whether it has a member. */
  has(member: string): boolean;
  /** Removes a member. Whether it was there. */
  delete(member: string): boolean;
  /** Removes all members. */
  clear(): void;
  keys(): string[];
  values(): string[];
  [Symbol.iterator](): IterableIterator<string>;
}

export { StateMap as Map, StateSet as Set };
