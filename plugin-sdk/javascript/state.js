// The fields stored for the current key, as bytes and as typed values over them.

import * as host from "./host.js";
import { ask, jsonOf, named, payload, toJson } from "./data.js";
import { Retry } from "./failure.js";

const NAME = "a field's name";

export const get = (name) => ask(named(NAME, name), host.stateGet) ?? undefined;

export function set(name, data) {
  put(named(NAME, name), payload("state.set", data, "state.Value"));
}

function remove(name) {
  ask(named(NAME, name), host.stateDelete);
}

export { remove as delete };

export const names = (prefix = "") => ask(named(NAME, prefix), host.stateNames);

function put(name, data) {
  ask(name, () => host.stateSet(name, data));
}

// The event is sound: a version of the plugin that reads the field can handle it.
const decoded = (name, data) => jsonOf(data, `state field \`${name}\``, Retry);

function misfit(name, wanted) {
  return new Retry(`state field \`${name}\` does not hold ${wanted}`);
}

/** A field that holds one value: anything with a JSON form. */
export class Value {
  #fallback;

  constructor(name, fallback) {
    this.name = named(NAME, name);
    // Every read gives one of its own: what an author adds to it must not be there for the next key.
    this.#fallback = fallback === undefined ? undefined : toJson(`state.Value ${name}`, fallback);
  }

  get() {
    const data = get(this.name);
    if (data !== undefined) {
      return decoded(this.name, data);
    }
    return this.#fallback === undefined ? undefined : JSON.parse(this.#fallback);
  }

  set(value) {
    put(this.name, toJson(`state.Value ${this.name}`, value));
  }

  update(change) {
    const value = change(this.get());
    this.set(value);
    return value;
  }

  delete() {
    remove(this.name);
  }
}

const MOST = 2n ** 63n - 1n;
const LEAST = -(2n ** 63n);

/** A field that holds a whole number, from zero. */
export class Counter {
  constructor(name) {
    this.name = named(NAME, name);
  }

  // The digits are more than a number holds, and other languages count that far.
  #read() {
    const data = get(this.name);
    if (data === undefined) {
      return 0n;
    }
    const told = host.decodeLossy(data);
    if (!/^\s*-?(0|[1-9]\d*)\s*$/.test(told)) {
      throw misfit(this.name, "a whole number");
    }
    return BigInt(told);
  }

  get() {
    return Number(this.#read());
  }

  getBigInt() {
    return this.#read();
  }

  add(more = 1) {
    const sum = this.#write(this.#read() + whole(more));
    return typeof more === "bigint" ? sum : Number(sum);
  }

  set(count) {
    this.#write(whole(count));
  }

  #write(count) {
    const kept = count > MOST ? MOST : count < LEAST ? LEAST : count;
    put(this.name, String(kept));
    return kept;
  }

  delete() {
    remove(this.name);
  }
}

function whole(number) {
  if (typeof number === "bigint" || Number.isInteger(number)) {
    return BigInt(number);
  }
  throw new TypeError(`a counter takes whole numbers, not ${String(number)}`);
}

/** A field that holds the last few of the values that were appended. */
export class List {
  constructor(name, most) {
    this.name = named(NAME, name);
    if (!Number.isInteger(most) || most < 1) {
      throw new RangeError(`state.List "${name}" would keep ${String(most)} values`);
    }
    this.most = most;
  }

  get() {
    const data = get(this.name);
    const values = data === undefined ? [] : decoded(this.name, data);
    if (!Array.isArray(values)) {
      throw misfit(this.name, "a list");
    }
    return values;
  }

  push(...values) {
    return this.#write([...this.get(), ...values]);
  }

  set(values) {
    this.#write([...values]);
  }

  #write(values) {
    const kept = values.slice(-this.most);
    put(this.name, toJson(`state.List ${this.name}`, kept));
    return kept.length;
  }

  get length() {
    return this.get().length;
  }

  [Symbol.iterator]() {
    return this.get()[Symbol.iterator]();
  }

  delete() {
    remove(this.name);
  }
}

const entry = ({ name }, key) => `${name}/${named("an entry", key)}`;

// Fields whose names begin with a name and a slash.
class Entries {
  constructor(name) {
    this.name = named(NAME, name);
  }

  keys() {
    const start = this.name.length + 1;
    return names(`${this.name}/`).map((name) => name.slice(start));
  }

  get size() {
    return names(`${this.name}/`).length;
  }

  has(key) {
    return get(entry(this, key)) !== undefined;
  }

  delete(key) {
    const isThere = this.has(key);
    if (isThere) {
      remove(entry(this, key));
    }
    return isThere;
  }

  clear() {
    names(`${this.name}/`).forEach(remove);
  }
}

/** Values by text, each entry a field of its own, in order of the keys. */
class StateMap extends Entries {
  get(key, fallback) {
    const name = entry(this, key);
    const data = get(name);
    return data === undefined ? fallback : decoded(name, data);
  }

  set(key, value) {
    const name = entry(this, key);
    put(name, toJson(`state.Map ${name}`, value));
    return this;
  }

  update(key, change) {
    const value = change(this.get(key));
    this.set(key, value);
    return value;
  }

  entries() {
    return this.keys().map((key) => [key, this.get(key)]);
  }

  values() {
    return this.keys().map((key) => this.get(key));
  }

  [Symbol.iterator]() {
    return this.entries()[Symbol.iterator]();
  }
}

/** Texts, each once, each a field of its own, in order. */
class StateSet extends Entries {
  add(member) {
    const isNew = !this.has(member);
    if (isNew) {
      put(entry(this, member), "true");
    }
    return isNew;
  }

  values() {
    return this.keys();
  }

  [Symbol.iterator]() {
    return this.keys()[Symbol.iterator]();
  }
}

Object.defineProperty(StateMap, "name", { value: "Map" });
Object.defineProperty(StateSet, "name", { value: "Set" });

export { StateMap as Map, StateSet as Set };
