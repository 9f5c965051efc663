// The labels of greatest total weight, and of greatest score, in bounded room.

import * as host from "./host.js";
import { whole } from "./failure.js";

/** The longest label, in bytes; a longer one is cut at the last character that fits. */
const LABEL_BYTES = 256;

function cut(label) {
  // No character takes more than three bytes for each of its units.
  if (label.length * 3 <= LABEL_BYTES) {
    return label;
  }
  const bytes = host.encode(label);
  let end = Math.min(bytes.length, LABEL_BYTES);
  while (end < bytes.length && (bytes[end] & 0xc0) === 0x80) {
    end -= 1;
  }
  return end === bytes.length ? label : host.decode(bytes.slice(0, end));
}

// The order of UTF-8's bytes is that of code points; the order of strings here is that of UTF-16.
function byBytes(one, other) {
  if (one === other) {
    return 0;
  }
  const [left, right] = [Array.from(one), Array.from(other)];
  const index = left.findIndex((sign, index) => sign !== right[index]);
  if (index < 0) {
    return -1;
  }
  return index >= right.length || left[index].codePointAt(0) > right[index].codePointAt(0) ? 1 : -1;
}

// Past this, numbers skip some.
const plus = (one, more) => Math.min(one + more, Number.MAX_SAFE_INTEGER);

const ranked = (label, weight, error) => ({ label, weight, error });

const isCount = (number) => Number.isInteger(number) && number >= 0;

export class Top {
  #capacity;
  #floor = 0;
  #entries = [];

  constructor(capacity) {
    this.#capacity = capacity;
  }

  add(label, weight = 1) {
    const kept = cut(label);
    whole("a weight", weight);
    const entry = this.#find(kept);
    if (entry) {
      entry.weight = plus(entry.weight, weight);
    } else {
      if (this.#entries.length >= this.#capacity) {
        this.#giveUpLast();
      }
      this.#entries.push(ranked(kept, plus(weight, this.#floor), this.#floor));
    }
    this.#settle();
  }

  get(n) {
    return this.#entries.slice(0, n).map((entry) => ({ ...entry }));
  }

  get isExact() {
    return this.#floor === 0;
  }

  merge(other) {
    const added = other.#entries
      .filter((entry) => !this.#find(entry.label))
      .map(({ label, weight, error }) => ranked(label, plus(weight, this.#floor), plus(error, this.#floor)));
    const rest = other.#floor;
    const both = this.#entries.map(({ label, weight, error }) => {
      const also = other.#find(label) ?? ranked(label, rest, rest);
      return ranked(label, plus(weight, also.weight), plus(error, also.error));
    });
    this.#entries = [...both, ...added];
    this.#floor = plus(this.#floor, rest);
    this.#settle();
  }

  dump() {
    return { c: this.#capacity, f: this.#floor, e: this.#entries.map(({ label, weight, error }) => [label, weight, error]) };
  }

  load(stored) {
    const { c, f, e } = Object(stored);
    const isEntry = (entry) =>
      Array.isArray(entry) && entry.length === 3 && typeof entry[0] === "string" && isCount(entry[1]) && isCount(entry[2]);
    if (!isCount(c) || !isCount(f) || !Array.isArray(e) || !e.every(isEntry)) {
      throw new TypeError("not what a top is stored as");
    }
    const made = new Top(c);
    made.#floor = f;
    made.#entries = e.map((entry) => ranked(...entry));
    return made;
  }

  #find(label) {
    return this.#entries.find((entry) => entry.label === label);
  }

  // A label given up may come again: it cannot have weighed more than this.
  #giveUpLast() {
    const last = this.#entries.pop();
    this.#floor = Math.max(this.#floor, last?.weight ?? 0);
  }

  #settle() {
    this.#entries.sort((one, other) => other.weight - one.weight || byBytes(one.label, other.label));
    while (this.#entries.length > this.#capacity) {
      this.#giveUpLast();
    }
  }
}

export class Largest {
  #most;
  #entries = [];

  constructor(n) {
    this.#most = n;
  }

  add(label, score) {
    if (!Number.isFinite(score)) {
      return;
    }
    const kept = cut(label);
    const entry = this.#entries.find((entry) => entry.label === kept);
    if (entry) {
      entry.score = Math.max(entry.score, score);
    } else {
      this.#entries.push({ label: kept, score });
    }
    this.#entries.sort((one, other) => other.score - one.score || byBytes(one.label, other.label));
    this.#entries.length = Math.min(this.#entries.length, this.#most);
  }

  get() {
    return this.#entries.map((entry) => ({ ...entry }));
  }

  winners() {
    return this.get().filter((entry) => entry.score >= this.#entries[0].score);
  }

  merge(other) {
    other.#entries.forEach((entry) => this.add(entry.label, entry.score));
  }

  dump() {
    return { n: this.#most, e: this.#entries.map(({ label, score }) => [label, score]) };
  }

  load(stored) {
    const { n, e } = Object(stored);
    const isEntry = (entry) =>
      Array.isArray(entry) && entry.length === 2 && typeof entry[0] === "string" && typeof entry[1] === "number";
    if (!isCount(n) || !Array.isArray(e) || !e.every(isEntry)) {
      throw new TypeError("not what a largest is stored as");
    }
    const made = new Largest(n);
    made.#entries = e.map(([label, score]) => ({ label, score }));
    return made;
  }
}
