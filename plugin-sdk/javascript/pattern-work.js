// One step of a pattern: an event or a moment, and what it makes of the unfinished matches. `plugin-sdk/PATTERNS.md` of Wasmill has
// the rules.

import { FOLLOWED_BY, FOLLOWED_BY_ANY, NEXT, PatternError, PatternFull, corrupt } from "./pattern.js";

/** What one key has of a pattern between events. */
export class State {
  shape = "";
  next = 0;
  clock = 0n;
  // { number, time, event } of every event that is still needed, in order.
  events = [];
  // { open, matched, takes }: the open ways on, a bit for each stage and one for the end; whether it was a match as it stands;
  // what it took, as { variable, number }.
  runs = [];
  // { at, takes } of matches that wait for those that began before them.
  held = [];

  get isIdle() {
    return this.runs.length === 0 && this.held.length === 0;
  }

  get unfinished() {
    return this.runs.length;
  }

  event(number) {
    return this.events.find((event) => event.number === number);
  }

  dump() {
    const pairs = (takes) => takes.map(({ variable, number }) => [variable, number]);
    return {
      p: this.shape,
      n: this.next,
      t: String(this.clock),
      e: this.events.map(({ number, time, event }) => [number, String(time), event]),
      r: this.runs.map(({ open, matched, takes }) => [open, matched, pairs(takes)]),
      ...(this.held.length > 0 && { h: this.held.map(({ at, takes }) => [String(at), pairs(takes)]) }),
    };
  }

  static load(stored) {
    const whole = (number) => (Number.isSafeInteger(number) && number >= 0 ? number : fail());
    const time = (text) => (typeof text === "string" && /^\d{1,20}$/.test(text) ? BigInt(text) : fail());
    const list = (value) => (Array.isArray(value) ? value : fail());
    const pairs = (takes) => list(takes).map(([variable, number]) => ({ variable: whole(variable), number: whole(number) }));
    const { p, n, t, e, r, h = [] } = Object(stored);
    try {
      return Object.assign(new State(), {
        shape: typeof p === "string" ? p : fail(),
        next: whole(n),
        clock: time(t),
        events: list(e).map(([number, at, event]) => ({ number: whole(number), time: time(at), event })),
        runs: list(r).map(([open, matched, takes]) => ({ open: whole(open), matched: matched === true, takes: pairs(takes) })),
        held: list(h).map(([at, takes]) => ({ at: time(at), takes: pairs(takes) })),
      });
    } catch (err) {
      throw err instanceof PatternError ? err : corrupt();
    }
  }
}

function fail() {
  throw corrupt();
}

/** The events of a match or an unfinished one. */
class Found {
  constructor(atNs, events) {
    this.atNs = atNs;
    this.events = events;
  }

  all(name) {
    return this.events.filter((taken) => taken.name === name).map((taken) => taken.event);
  }

  first(name) {
    return this.all(name)[0];
  }

  last(name) {
    return this.all(name).at(-1);
  }

  get spanNs() {
    return this.events.length === 0 ? 0n : this.events.at(-1).timeNs - this.events[0].timeNs;
  }
}

/** What a match holds so far, as a condition sees it. */
class Seen {
  #work;
  #takes;

  constructor(work, takes, timeNs) {
    this.#work = work;
    this.#takes = takes;
    this.timeNs = timeNs;
  }

  all(name) {
    const { variables } = this.#work.pattern;
    const named = this.#takes.filter(({ variable }) => variables[variable].name === name);
    return named.map(({ number }) => this.#work.get(number).event);
  }

  first(name) {
    return this.all(name)[0];
  }

  last(name) {
    return this.all(name).at(-1);
  }

  get latest() {
    return this.#takes.length === 0 ? undefined : this.#work.get(this.#takes.at(-1).number).event;
  }

  get latestTimeNs() {
    return this.#takes.length === 0 ? undefined : this.#work.get(this.#takes.at(-1).number).time;
  }
}

const startOf = ({ takes }) => takes[0].number;

/** The step under way; the state is not touched before it succeeds. */
export class Work {
  constructor(pattern, state, added) {
    Object.assign(this, { pattern, state, added });
    this.runs = [...state.runs];
    this.held = [...state.held];
    this.expired = [];
    this.step = { matches: [], timeouts: [], evicted: [] };
    this.end = pattern.stages.length;
  }

  get(number) {
    return this.added?.number === number ? this.added : this.state.event(number);
  }

  #endsAt(run) {
    return this.pattern.endOf(this.get(startOf(run)).time);
  }

  // Lets time pass, one moment after another.
  closeUntil(now) {
    if (this.pattern.withinNs === undefined) {
      return;
    }
    while (this.runs.length > 0) {
      const moment = this.#endsAt(this.runs[0]);
      if (moment > now) {
        return;
      }
      const rest = this.runs.findIndex((run) => this.#endsAt(run) > moment);
      const ended = this.runs.splice(0, rest < 0 ? this.runs.length : rest);
      const isDone = ({ open }) => (open & (1 << this.end)) !== 0;
      this.expired = ended.filter((run) => !isDone(run) && !run.matched);
      this.expired.sort((one, other) => this.#prefer(one.takes, other.takes));
      this.#complete(ended.filter(isDone).map(({ takes }) => takes), moment);
      this.step.timeouts.push(...this.expired.map(({ takes }) => this.#found(takes, moment)));
      this.expired = [];
    }
  }

  // Gives the event to each run, and begins new ones.
  take(number, time, event) {
    const done = [];
    const before = this.runs;
    this.runs = [];
    before.forEach((run) => this.#feed(run, number, time, event, done));
    this.#feed({ open: -1, matched: true, takes: [] }, number, time, event, done);
    this.#complete(done, time);
  }

  #feed({ open: bits, matched: was, takes }, number, time, event, done) {
    const ways = this.#ways(takes);
    const seen = new Seen(this, takes, time);
    const isRightAfter = takes.length > 0 && takes.at(-1).number + 1 === number;
    const longer = [];
    let open = bits & allOf(ways);
    let matched = was;
    let taken = 0;
    for (const way of ways) {
      const bit = 1 << way.target;
      if ((open & bit) === 0) {
        continue;
      }
      const isRefused = way.nots.some(({ isNext, condition }) => (isRightAfter || !isNext) && condition(event, seen));
      if (isRefused || (taken & way.greedy) !== 0) {
        open &= ~bit;
      } else if (way.target === this.end) {
        // After an event that did not close it nothing is waited for but more of a greedy stage, and that can take no more.
        if (takes.length > 0 && way.nots.every(({ isNext }) => isNext) && (open & way.greedy) === 0) {
          open &= ~bit;
          matched = true;
          done.push(takes);
        }
      } else {
        const stage = this.pattern.stages[way.target];
        const variable = stage.variables.find((variable) => this.pattern.variables[variable].condition(event, seen));
        if (variable !== undefined) {
          taken |= bit;
          open &= way.link === FOLLOWED_BY_ANY ? -1 : ~bit;
          this.#grow([...takes, { variable, number }], longer, done);
        } else if (way.link === NEXT) {
          open &= ~bit;
        }
      }
    }
    if (open !== 0 && takes.length > 0) {
      this.runs.push({ open, matched, takes });
    }
    this.runs.push(...longer);
  }

  // A run that took one more event, and the match that it may be at once.
  #grow(takes, longer, done) {
    const ways = this.#ways(takes);
    const last = ways.at(-1);
    const matched = last.target === this.end && last.nots.length === 0 && last.greedy === 0;
    let open = allOf(ways);
    if (matched) {
      open &= ~(1 << this.end);
      done.push(takes);
    }
    if (open !== 0) {
      longer.push({ open, matched, takes });
    }
  }

  // The ways on after these events, nearest stage first; the end, where it can be reached, is last.
  #ways(takes) {
    const { stages } = this.pattern;
    const ways = [];
    let nots = [];
    // The greedy stages that a way leaves or passes: as long as one of them takes an event, nothing leads past it.
    let greedy = 0;
    let first = 0;
    if (takes.length > 0) {
      const number = this.#stageOf(takes.at(-1));
      const stage = stages[number];
      const count = takes.filter((take) => this.#stageOf(take) === number).length;
      nots = this.#notsAfter(number);
      if (count < stage.max) {
        ways.push({ target: number, link: stage.inner, nots, greedy: 0 });
        greedy |= stage.greedy ? 1 << number : 0;
      }
      if (count < stage.min) {
        return ways;
      }
      first = number + 1;
    }
    for (let number = first; number < stages.length; number += 1) {
      const stage = stages[number];
      ways.push({ target: number, link: stage.link, nots, greedy });
      if (!stage.optional) {
        return ways;
      }
      greedy |= stage.greedy ? 1 << number : 0;
      // Before the first event there is nothing that something could follow.
      nots = takes.length > 0 ? [...nots, ...this.#notsAfter(number)] : nots;
    }
    return [...ways, { target: this.end, link: FOLLOWED_BY, nots, greedy }];
  }

  #stageOf({ variable }) {
    return this.pattern.variables[variable].stage;
  }

  // What must not come between this stage and the next.
  #notsAfter(number) {
    return this.pattern.stages[number + 1]?.nots ?? this.pattern.trailing;
  }

  // Which of two matches that were done at the same moment comes first: the one that began first, then, where they part, the one
  // that leaves a reluctant stage or stays in a greedy one, then the one with the earlier event.
  #prefer(one, other) {
    if (one[0].number !== other[0].number) {
      return one[0].number - other[0].number;
    }
    let index = 0;
    while (index < one.length && one[index].number === other[index]?.number && one[index].variable === other[index].variable) {
      index += 1;
    }
    if (index === one.length && index === other.length) {
      return 0;
    }
    const [left, right] = [one, other].map((takes) => (index < takes.length ? this.#stageOf(takes[index]) : this.end));
    if (left !== right) {
      return this.pattern.stages[Math.min(left, right)].greedy ? left - right : right - left;
    }
    return one[index].number - other[index].number;
  }

  // Adds what became a match at a moment, and reports what can be.
  #complete(done, moment) {
    done.sort((one, other) => this.#prefer(one, other));
    this.held.push(...done.map((takes) => ({ at: moment, takes })));
    // Stable: of the same first event, those done earlier stay in front.
    this.held.sort((one, other) => startOf(one) - startOf(other));
    this.#release();
  }

  // Reports matches in the order of their first events. Where a match can rule out others that began later, none is reported
  // before everything that began earlier is decided.
  #release() {
    const { kind } = this.pattern.skipping;
    const waits = kind !== "none" && kind !== "to-next";
    while (this.held.length > 0) {
      if (waits && this.runs.length > 0 && startOf(this.runs[0]) < startOf(this.held[0])) {
        return;
      }
      const { at, takes } = this.held.shift();
      this.step.matches.push(this.#found(takes, at));
      this.#prune(takes);
    }
  }

  // Ends what may not be reported after this match.
  #prune(takes) {
    const { kind, name } = this.pattern.skipping;
    if (kind === "none") {
      return;
    }
    const first = takes[0].number;
    const named = takes.filter(({ variable }) => this.pattern.variables[variable].name === name);
    const resume = {
      "to-next": first + 1,
      "past-last": takes.at(-1).number + 1,
      "to-first": named[0]?.number ?? first,
      "to-last": named.at(-1)?.number ?? first,
    }[kind];
    const goesOn = (each) => startOf(each) < first || startOf(each) >= resume;
    this.runs = this.runs.filter(goesOn);
    this.expired = this.expired.filter(goesOn);
    this.held = this.held.filter(goesOn);
  }

  // Holds to the limit.
  bound(now) {
    const sum = (list) => list.reduce((sum, { takes }) => sum + takes.length, 0);
    while (sum(this.runs) + sum(this.held) > this.pattern.most) {
      if (!this.pattern.evicts || this.runs.length === 0) {
        throw new PatternFull(this.pattern.most);
      }
      this.step.evicted.push(this.#found(this.runs.shift().takes, now));
      this.#release();
    }
  }

  #found(takes, at) {
    const events = takes.map(({ variable, number }) => {
      const { time, event } = this.get(number);
      return { name: this.pattern.variables[variable].name, timeNs: time, event };
    });
    return new Found(at, events);
  }

  // Writes the state; what came of the step.
  settle(now) {
    const { state, runs, held, added } = this;
    if (runs.length === 0 && held.length === 0) {
      Object.assign(state, new State());
      return this.step;
    }
    const used = new Set([...runs, ...held].flatMap(({ takes }) => takes.map(({ number }) => number)));
    const events = [...state.events, ...(added ? [added] : [])].filter(({ number }) => used.has(number));
    const next = state.next + (added ? 1 : 0);
    Object.assign(state, { shape: this.pattern.shape(), clock: now, events, next, runs, held });
    return this.step;
  }
}

const allOf = (ways) => ways.reduce((bits, { target }) => bits | (1 << target), 0);
