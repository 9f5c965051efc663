// What is kept of many values: counts, sums, extremes, distinct members, quantiles, the most frequent.

import { whole } from "./failure.js";

export { Distinct } from "./distinct.js";
export { Quantile } from "./quantile.js";
export { Largest, Top } from "./top.js";

const isCount = (stored) => Number.isInteger(stored) && stored >= 0;

function right(isRight, what) {
  if (!isRight) {
    throw new TypeError(`not what ${what} is stored as`);
  }
}

export class Count {
  #count = 0;

  add(more = 1) {
    this.#count = Math.min(this.#count + whole("what is counted", more), Number.MAX_SAFE_INTEGER);
  }

  get() {
    return this.#count;
  }

  merge(other) {
    this.add(other.#count);
  }

  dump() {
    return this.#count;
  }

  load(stored) {
    right(isCount(stored), "a count");
    const made = new Count();
    // Another language may have counted on.
    made.#count = Math.min(stored, Number.MAX_SAFE_INTEGER);
    return made;
  }
}

export class Sum {
  #sum = 0;
  // What rounding lost: Neumaier 1974.
  #error = 0;

  add(value) {
    if (!Number.isFinite(value)) {
      return;
    }
    const total = this.#sum + value;
    if (!Number.isFinite(total)) {
      this.#sum = total > 0 ? Number.MAX_VALUE : -Number.MAX_VALUE;
      this.#error = 0;
      return;
    }
    this.#error += Math.abs(this.#sum) >= Math.abs(value) ? this.#sum - total + value : value - total + this.#sum;
    this.#sum = total;
  }

  get() {
    return this.#sum + this.#error;
  }

  merge(other) {
    const error = other.#error;
    this.add(other.#sum);
    this.add(error);
  }

  dump() {
    return [this.#sum, this.#error];
  }

  load(stored) {
    right(Array.isArray(stored) && stored.length === 2 && stored.every(Number.isFinite), "a sum");
    const made = new Sum();
    [made.#sum, made.#error] = stored;
    return made;
  }
}

export class Mean {
  #count = new Count();
  #sum = new Sum();

  add(value) {
    if (Number.isFinite(value)) {
      this.#count.add(1);
      this.#sum.add(value);
    }
  }

  get() {
    return this.count === 0 ? undefined : this.#sum.get() / this.count;
  }

  get count() {
    return this.#count.get();
  }

  merge(other) {
    this.#count.merge(other.#count);
    this.#sum.merge(other.#sum);
  }

  dump() {
    return [this.#count.dump(), this.#sum.dump()];
  }

  load(stored) {
    right(Array.isArray(stored) && stored.length === 2, "a mean");
    const made = new Mean();
    made.#count = made.#count.load(stored[0]);
    made.#sum = made.#sum.load(stored[1]);
    return made;
  }
}

class Extreme {
  #value;

  add(value) {
    if (Number.isFinite(value) && (this.#value === undefined || this.isBetter(value, this.#value))) {
      this.#value = value;
    }
  }

  get() {
    return this.#value;
  }

  merge(other) {
    this.add(other.#value);
  }

  dump() {
    return this.#value ?? null;
  }

  load(stored) {
    right(stored === null || Number.isFinite(stored), "an extreme");
    const made = new this.constructor();
    made.#value = stored ?? undefined;
    return made;
  }
}

export class Min extends Extreme {
  isBetter(value, kept) {
    return value < kept;
  }
}

export class Max extends Extreme {
  isBetter(value, kept) {
    return value > kept;
  }
}

export class Rows {
  #room;
  #rows = [];
  #over = 0;

  constructor(room) {
    this.#room = room;
  }

  add(row) {
    if (this.#rows.length < this.#room) {
      this.#rows.push(row);
    } else {
      this.#over += 1;
    }
  }

  get() {
    return [...this.#rows];
  }

  get over() {
    return this.#over;
  }

  merge(other) {
    other.get().forEach((row) => this.add(row));
    this.#over += other.#over;
  }

  dump() {
    return { n: this.#room, r: [...this.#rows], o: this.#over };
  }

  load(stored) {
    const { n, r, o } = Object(stored);
    right(isCount(n) && Array.isArray(r) && isCount(o), "a list of rows");
    const made = new Rows(n);
    made.#rows = [...r];
    made.#over = o;
    return made;
  }
}

const isOne = (aggregate) => typeof aggregate?.merge === "function";

/** Takes in all that another of the same kind has seen: an aggregate, or a list or object of them. */
export function merge(one, other) {
  if (isOne(one)) {
    one.merge(other);
  } else {
    Object.keys(one).forEach((name) => merge(one[name], other[name]));
  }
}

/** An aggregate, or a list or object of them, as it is stored: a value with a JSON form. */
export function dump(aggregate) {
  if (isOne(aggregate)) {
    return aggregate.dump();
  }
  if (Array.isArray(aggregate)) {
    return aggregate.map(dump);
  }
  return Object.fromEntries(Object.entries(aggregate).map(([name, member]) => [name, dump(member)]));
}

/** What was stored, as an aggregate of the same kind as another one. Throws TypeError if it is something else. */
export function load(kind, stored) {
  if (isOne(kind)) {
    return kind.load(stored);
  }
  if (Array.isArray(kind)) {
    right(Array.isArray(stored) && stored.length === kind.length, "this list of aggregates");
    return kind.map((member, index) => load(member, stored[index]));
  }
  right(Object(stored) === stored && Object.keys(kind).every((name) => Object.hasOwn(stored, name)), "this object of aggregates");
  return Object.fromEntries(Object.entries(kind).map(([name, member]) => [name, load(member, stored[name])]));
}
