// Timers of the current key.

import * as host from "./host.js";
import { ask, jsonOf, named, payload, textOf } from "./data.js";
import { Reject } from "./failure.js";

/** A timer that has come due. */
export class Timer {
  // The runtime makes timers by position, in the order of the contract.
  constructor(name, key, dueNs, data) {
    this.name = name;
    this.key = key;
    this.dueNs = dueNs;
    this.data = data;
  }

  get due() {
    return new Date(Number(this.dueNs / 1_000_000n));
  }

  text() {
    return textOf(this.data, `the data of timer \`${this.name}\``, Reject);
  }

  json() {
    return jsonOf(this.data, `the data of timer \`${this.name}\``, Reject);
  }
}

const LATEST = 2n ** 64n - 1n;

export function set(name, due, data = "") {
  named("a timer's name", name);
  if (!host.cache.hasOnTimer) {
    throw new TypeError(
      `timer "${name}" would come due and nobody would handle it\nhint: write \`export function onTimer(timer) { ... }\``,
    );
  }
  const dueNs = due instanceof Date ? BigInt(due.getTime()) * 1_000_000n : due;
  if (typeof dueNs !== "bigint" || dueNs < 0n || dueNs > LATEST) {
    throw new RangeError(`timer "${name}": ${String(due)} is neither a Date nor a bigint of nanoseconds since the Unix epoch`);
  }
  const stored = payload("a timer", data, "JSON.stringify");
  ask(name, () => host.timerSet(name, dueNs, stored));
}

export function after(name, waitMs, data) {
  // Later than the clock can tell is as late as it can tell.
  const due = host.now() + nanoseconds(waitMs, `timer "${name}"`);
  set(name, due > LATEST ? LATEST : due, data);
}

export function cancel(name) {
  ask(named("a timer's name", name), host.timerCancel);
}

/** A number of milliseconds, or a bigint of nanoseconds, as the latter. */
export function nanoseconds(wait, what) {
  const isNumber = typeof wait === "number" && wait >= 0 && wait < Infinity;
  if (!isNumber && !(typeof wait === "bigint" && wait >= 0n)) {
    throw new RangeError(`${what}: a wait of ${String(wait)} is neither milliseconds nor a bigint of nanoseconds`);
  }
  if (!isNumber) {
    return wait;
  }
  // Whole milliseconds first: all nanoseconds of a long wait are more than a number holds.
  const whole = Math.floor(wait);
  return BigInt(whole) * 1_000_000n + BigInt(Math.round((wait - whole) * 1_000_000));
}

/** Sets a timer that was due `before` for another time, or cancels it; undefined is no time. */
export function moveTo(name, before, dueNs) {
  if (dueNs === before) {
    return;
  }
  if (dueNs === undefined) {
    cancel(name);
  } else {
    set(name, dueNs);
  }
}
