// Patterns over a key's events: what an author writes, and which patterns mean something. `pattern-work.js` takes the steps.

import { Reject, Retry } from "./failure.js";
import { now } from "./host.js";
import { State, Work } from "./pattern-work.js";
import { Value } from "./state.js";
import { moveTo, nanoseconds } from "./timers.js";

export { State } from "./pattern-work.js";

/** Bits of a run's open ways are stage numbers, one more for the end; 30 keeps them a positive 32-bit integer. */
const MAX_STAGES = 30;
const MAX_NAME = 64;
/** How many entries unfinished matches may have, unless the pattern says otherwise. */
const DEFAULT_LIMIT = 2_048;
const LATEST = 2n ** 64n - 1n;

export const NEXT = ">";
export const FOLLOWED_BY = "~";
export const FOLLOWED_BY_ANY = "*";

/** What goes on after a match. */
export const skip = Object.freeze({
  none: Object.freeze({ kind: "none" }),
  toNext: Object.freeze({ kind: "to-next" }),
  pastLast: Object.freeze({ kind: "past-last" }),
  toFirst: (name) => Object.freeze({ kind: "to-first", name }),
  toLast: (name) => Object.freeze({ kind: "to-last", name }),
});

/**
 * The pattern, or the state it found, is not sound: a retry, since the event is and can be handled once the version that wrote the
 * state is back or the mistake is corrected.
 */
export class PatternError extends Retry {
  constructor(kind, reason) {
    super(`pattern: ${reason}`);
    this.kind = kind;
  }
}

/** With this event unfinished matches would hold more than the limit. It does not get better by waiting. */
export class PatternFull extends Reject {
  kind = "full";

  constructor(limit) {
    const hint = "bound it by within, a skip strategy or greedy, raise limit, or evictOldest";
    super(`pattern: unfinished matches hold over ${limit} events\nhint: ${hint}`);
  }
}

export const begin = (name, condition) => new Pattern()._then(NEXT, name, condition);

export class Pattern {
  stages = [];
  variables = [];
  trailing = [];
  withinNs;
  skipping = skip.none;
  most = DEFAULT_LIMIT;
  evicts = false;
  #mistake;
  #shape;

  next = (name, condition) => this._then(NEXT, name, condition);
  followedBy = (name, condition) => this._then(FOLLOWED_BY, name, condition);
  followedByAny = (name, condition) => this._then(FOLLOWED_BY_ANY, name, condition);

  or(name, condition) {
    this.#last("or").variables.push(this.variables.length);
    return this.#variable(name, condition, this.stages.length - 1);
  }

  notNext(condition) {
    this.trailing.push({ isNext: true, condition });
    return this;
  }

  notFollowedBy(condition) {
    this.trailing.push({ isNext: false, condition });
    return this;
  }

  times(count) {
    return this.between(count, count);
  }

  between(least, most = Infinity) {
    const isCount = (count) => Number.isInteger(count) && count >= 0;
    if (!isCount(least) || !(isCount(most) || most === Infinity) || most === 0 || least > most) {
      this.#blame(`between(${least}, ${most}) repeats nothing`);
    }
    const stage = this.#last("times");
    stage.min = Math.max(least, 1);
    stage.max = most;
    stage.optional ||= least === 0;
    return this;
  }

  atLeast(least) {
    return this.between(least);
  }

  oneOrMore() {
    return this.between(1);
  }

  optional() {
    this.#last("optional").optional = true;
    return this;
  }

  greedy() {
    this.#last("greedy").greedy = true;
    return this;
  }

  consecutive() {
    this.#last("consecutive").inner = NEXT;
    return this;
  }

  combinations() {
    this.#last("combinations").inner = FOLLOWED_BY_ANY;
    return this;
  }

  within(wait) {
    this.withinNs = nanoseconds(wait, "within");
    if (this.withinNs <= 0n) {
      this.#blame("within() needs some time");
    }
    return this;
  }

  skip(strategy) {
    this.skipping = strategy;
    return this;
  }

  limit(entries) {
    this.most = entries;
    return this;
  }

  evictOldest() {
    this.evicts = true;
    return this;
  }

  kept(name) {
    return new Kept(this, name);
  }

  check() {
    const mistake = this.#mistake ?? this.#badNames() ?? this.#badEnds();
    if (mistake !== undefined) {
      throw new PatternError("invalid", mistake);
    }
    return this;
  }

  advance(state, event, timeNs) {
    this.#checkState(state);
    const time = timeNs > state.clock ? timeNs : state.clock;
    const work = new Work(this, state, { number: state.next, time, event });
    work.closeUntil(time);
    work.take(state.next, time, event);
    work.bound(time);
    return work.settle(time);
  }

  onTime(state, nowNs) {
    this.#checkState(state);
    const time = nowNs > state.clock ? nowNs : state.clock;
    const work = new Work(this, state);
    work.closeUntil(time);
    return work.settle(time);
  }

  due(state) {
    const first = this.withinNs === undefined ? undefined : state.runs[0];
    return first && this.endOf(state.event(first.takes[0].number).time);
  }

  /** The end of the time of what began then. */
  endOf(time) {
    const end = time + this.withinNs;
    return end > LATEST ? LATEST : end;
  }

  shape() {
    return (this.#shape ??= this.#told());
  }

  #told() {
    const sign = ({ isNext }) => (isNext ? "!>" : "!~");
    const parts = this.stages.flatMap((stage, index) => {
      const names = stage.variables.map((variable) => this.variables[variable].name).join("|");
      const most = stage.max === Infinity ? "" : stage.max;
      const times = stage.min === 1 && stage.max === 1 ? "" : `{${stage.min},${most}}${stage.inner}`;
      const marks = (stage.optional ? "?" : "") + (stage.greedy ? "+" : "");
      return [...stage.nots.map(sign), `${index === 0 ? "" : stage.link}${names}${times}${marks}`];
    });
    return [...parts, ...this.trailing.map(sign)].join(" ");
  }

  _then(link, name, condition) {
    if (this.stages.length === 0 && this.trailing.length > 0) {
      this.#blame("a pattern begins with an event, not with the lack of one");
    }
    const plain = { min: 1, max: 1, inner: FOLLOWED_BY, optional: false, greedy: false };
    this.stages.push({ ...plain, link, variables: [this.variables.length], nots: this.trailing });
    this.trailing = [];
    return this.#variable(name, condition, this.stages.length - 1);
  }

  #variable(name, condition, stage) {
    if (typeof condition !== "function") {
      throw new TypeError(`pattern: the condition of ${String(name)} is no function`);
    }
    this.variables.push({ name, condition, stage });
    return this;
  }

  #last(what) {
    if (this.trailing.length > 0) {
      this.#blame(`${what} follows a negation, where it has no meaning`);
    }
    return this.stages.at(-1);
  }

  #blame(mistake) {
    this.#mistake ??= mistake;
  }

  #badNames() {
    const names = this.variables.map(({ name }) => name);
    const plain = new RegExp(`^[A-Za-z0-9_-]{1,${MAX_NAME}}$`);
    const bad = names.find((name) => typeof name !== "string" || !plain.test(name));
    if (bad !== undefined) {
      return `\`${String(bad)}\` is no name: letters, digits, \`-\` and \`_\`, up to ${MAX_NAME}`;
    }
    const twice = names.find((name, index) => names.indexOf(name) !== index);
    if (twice !== undefined) {
      return `two events are called \`${twice}\``;
    }
    const { name } = this.skipping;
    return name === undefined || names.includes(name) ? undefined : `it skips to \`${name}\`, which is none of its events`;
  }

  // A match needs an event, and something that ends it.
  #badEnds() {
    if (this.stages.length > MAX_STAGES) {
      return `it has over ${MAX_STAGES} stages`;
    }
    const last = this.stages.findLastIndex((stage) => !stage.optional);
    if (last < 0) {
      return "all of it is optional: it would match nothing at all";
    }
    if (!(this.most > 0)) {
      return "its limit is 0";
    }
    if (this.withinNs !== undefined) {
      return undefined;
    }
    const nots = [...this.trailing, ...this.stages.slice(last + 1).flatMap((stage) => stage.nots)];
    if (nots.some(({ isNext }) => !isNext)) {
      return "it ends with what must not come, and no `within` says for how long";
    }
    const isEndless = ({ greedy, max, inner, optional, link }) =>
      greedy && ((max > 1 && inner !== NEXT) || (optional && link !== NEXT));
    return this.stages.slice(last).some(isEndless)
      ? "it ends with a greedy stage that can always take more, and has no `within`"
      : undefined;
  }

  // A state may come from anywhere; nothing deeper looks again.
  #checkState(state) {
    this.check();
    if (state.isIdle) {
      return;
    }
    const now = this.shape();
    if (state.shape !== now) {
      const hint = "give the field another name, or delete it in migrate";
      throw new PatternError("changed", `the stored state is of \`${state.shape}\`, the pattern is \`${now}\`\nhint: ${hint}`);
    }
    const isRising = state.events.every(({ number }, index) => number < (state.events[index + 1]?.number ?? state.next));
    if (!isRising || ![...state.runs, ...state.held].every(({ takes }) => this.#isPlausible(state, takes))) {
      throw corrupt();
    }
  }

  #isPlausible(state, takes) {
    const stage = ({ variable }) => this.variables[variable].stage;
    const isKnown = ({ variable, number }) => this.variables[variable] !== undefined && state.event(number) !== undefined;
    const follows = (take, index) =>
      index === 0 || (take.number > takes[index - 1].number && stage(take) >= stage(takes[index - 1]));
    return takes.length > 0 && takes.every(isKnown) && takes.every(follows);
  }
}

export function corrupt() {
  const hint = "another plugin version or a person wrote it; delete the field";
  return new PatternError("corrupt", `the stored state contradicts itself\nhint: ${hint}`);
}

/** A pattern that remembers, per key, under one name: a state field and a timer are called so. */
export class Kept {
  #pattern;
  #field;

  constructor(pattern, name) {
    this.#pattern = pattern;
    this.#field = new Value(name);
  }

  advance(event) {
    return this.#step(false, (state) => this.#pattern.advance(state, event, now()));
  }

  onTimer(timer) {
    if (timer.name !== this.#field.name) {
      return { matches: [], timeouts: [], evicted: [] };
    }
    return this.#step(true, (state) => this.#pattern.onTime(state, timer.dueNs));
  }

  #step(fired, change) {
    const stored = this.#field.get();
    const state = stored === undefined ? new State() : State.load(stored);
    // A timer that fired is gone, even if the same time is due as before: `within` may be longer than when it was set.
    const before = fired ? undefined : this.#pattern.due(state);
    const step = change(state);
    moveTo(this.#field.name, before, this.#pattern.due(state));
    if (!state.isIdle) {
      this.#field.set(state.dump());
    } else if (stored !== undefined) {
      this.#field.delete();
    }
    return step;
  }
}
