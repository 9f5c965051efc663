// How a plugin's function does not finish: the author throws these, or lets what the engine refuses pass.

/** Thrown: the event may work later and shall be delivered again. */
export class Retry extends Error {
  constructor(reason = "", { afterMs } = {}) {
    super(reason);
    if (afterMs !== undefined && !(Number.isFinite(afterMs) && afterMs >= 0)) {
      throw new TypeError(`Retry: afterMs is ${afterMs}, not a number of milliseconds`);
    }
    this.afterMs = afterMs;
  }
}

/** Thrown: the event will never work and becomes a dead letter with this reason. */
export class Reject extends Error {}

/**
 * The number, if it is a whole one of 0 or more, as what is stored has no other: a key with one could not be read again. The event
 * that brought something else is at fault.
 */
export function whole(what, given) {
  if (!Number.isSafeInteger(given) || given < 0) {
    throw new Reject(`${what} is a whole number from 0 to 2^53 - 1, not ${String(given).slice(0, SHOWN)}`);
  }
  return given;
}

const SHOWN = 80;
const MAY_PASS = ["no-key", "not-granted", "not-ready"];
const REFUSALS = {
  "no-key": () => "the plugin has no key, so it has no state and no timers; set `key` in the plugin's manifest",
  "bad-name": () => "the name of a field or timer has 1 to 256 bytes",
  "too-large": (limit, name) =>
    `with state field \`${name}\` the key's record would pass its limit of ${limit} bytes; raise \`record_kib\` in the [state] ` +
    "table of the plugin's manifest, or keep less",
  "too-many": (limit, name) =>
    `timer \`${name}\` is one more than the ${limit} that a key may have; raise \`timers\` in the [state] table of the plugin's ` +
    "manifest, or set fewer",
  "not-granted": (_, name) =>
    `lookup table \`${name}\` is not granted; name its KV bucket in the [lookup] table of the plugin's manifest`,
  "not-ready": (_, name) => `lookup table \`${name}\` is not loaded yet`,
};

/** Thrown by what the engine refuses: an access to state, timers or lookup tables. */
export class Refused extends Error {
  constructor(kind, limit, name = "") {
    super(REFUSALS[kind](limit, name.length > SHOWN ? `${name.slice(0, SHOWN)}…` : name));
    this.kind = kind;
    this.limit = limit;
  }

  get mayPass() {
    return MAY_PASS.includes(this.kind);
  }
}

Retry.prototype.name = "Retry";
Reject.prototype.name = "Reject";
Refused.prototype.name = "Refused";
