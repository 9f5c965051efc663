// Two streams joined within a time bound, per key: an order with the payment that follows within an hour.

import { now } from "./host.js";
import { inField } from "./infield.js";
import { length, place, right, toMs, toNs } from "./window.js";

/** The events that each side keeps at most, unless a join says otherwise. */
const CAPACITY = 1_000;

/** The events of a key that may still meet others. */
export class Held {
  watermark;
  late = 0;
  evicted = 0;
  // { at, value, met }, by time.
  left = [];
  right = [];

  get watermarkNs() {
    return this.watermark === undefined ? undefined : toNs(this.watermark);
  }

  get pieces() {
    return this.left.length + this.right.length;
  }

  dump() {
    const side = (kept) => kept.map(({ at, value, met }) => [at, value, met]);
    return {
      ...(this.watermark !== undefined && { w: this.watermark }),
      ...(this.late > 0 && { l: this.late }),
      ...(this.evicted > 0 && { e: this.evicted }),
      ...(this.left.length > 0 && { a: side(this.left) }),
      ...(this.right.length > 0 && { b: side(this.right) }),
    };
  }
}

export class Join {
  #before;
  #after;
  #disorder;
  #capacity;

  constructor(beforeMs, afterMs, { disorderMs = 0, capacity = CAPACITY } = {}) {
    this.#before = length("time before", beforeMs);
    this.#after = length("time after", afterMs);
    this.#disorder = length("disorder", disorderMs);
    this.#capacity = capacity;
  }

  left(held, timeNs, value) {
    return this.#add(held, timeNs, value, "left", "right", this.#before, this.#after);
  }

  right(held, timeNs, value) {
    return this.#add(held, timeNs, value, "right", "left", this.#after, this.#before);
  }

  #add(held, timeNs, value, own, other, earlier, later) {
    const at = toMs(timeNs);
    if (at < (held.watermark ?? -Infinity)) {
      held.late += 1;
      return { pairs: [], unmatched: [], late: true };
    }
    const met = held[other].filter((kept) => kept.at >= at - earlier && kept.at <= at + later);
    met.forEach((kept) => (kept.met = true));
    const side = held[own];
    side.splice(place(side, (kept) => kept.at <= at), 0, { at, value, met: met.length > 0 });
    held.evicted += side.splice(0, side.length - this.#capacity).length;
    const pairs = met.map((kept) => (own === "left" ? [value, kept.value] : [kept.value, value]));
    return { pairs, unmatched: this.advance(held, timeNs), late: false };
  }

  advance(held, nowNs) {
    const watermark = toMs(nowNs) - this.#disorder;
    if ((held.watermark ?? -Infinity) >= watermark) {
      return [];
    }
    held.watermark = watermark;
    const letGo = (side, until) => {
      const gone = held[side].splice(0, place(held[side], (kept) => kept.at < until));
      return gone.filter((kept) => !kept.met).map(({ value }) => ({ side, value }));
    };
    return [...letGo("left", watermark - this.#after), ...letGo("right", watermark - this.#before)];
  }

  due(held) {
    const last = Math.min((held.left[0]?.at ?? Infinity) + this.#after, (held.right[0]?.at ?? Infinity) + this.#before);
    // The bound itself still joins; a millisecond later nothing does.
    return last === Infinity ? undefined : toNs(last + this.#disorder + 1);
  }

  load(stored) {
    const { w, l = 0, e = 0, a = [], b = [], ...rest } = Object(stored);
    const isSide = (side) =>
      Array.isArray(side) &&
      side.every((kept) => Array.isArray(kept) && kept.length === 3 && Number.isInteger(kept[0]) && typeof kept[2] === "boolean");
    const isWhole = (number) => Number.isInteger(number);
    right(Object(stored) === stored && (w === undefined || isWhole(w)) && isWhole(l) && isWhole(e), "a join");
    right(isSide(a) && isSide(b) && Object.keys(rest).length === 0, "a join");
    const side = (kept) => kept.map(([at, value, met]) => ({ at, value, met }));
    return Object.assign(new Held(), { watermark: w, late: l, evicted: e, left: side(a), right: side(b) });
  }

  onEvent(field, timeNs, side, value) {
    if (side !== "left" && side !== "right") {
      throw new TypeError(`a join has the sides left and right, not ${String(side)}`);
    }
    return inField(field, this, () => new Held(), (held) => this[side](held, timeNs, value));
  }

  onTimer(field) {
    return inField(field, this, () => new Held(), (held) => this.advance(held, now()), true);
  }
}
