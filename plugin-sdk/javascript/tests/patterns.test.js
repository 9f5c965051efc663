// Patterns: the vectors that every language's SDK runs, and their use in a plugin.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { Output, Reject, Retry, pattern } from "../index.js";
import { Keyed } from "../testing.js";

const vectors = JSON.parse(readFileSync(new URL("../../tests/vectors/patterns.json", import.meta.url), "utf8"));

const NUMBERS = {
  "=": (a, b) => a === b,
  "!=": (a, b) => a !== b,
  "<": (a, b) => a < b,
  "<=": (a, b) => a <= b,
  ">": (a, b) => a > b,
  ">=": (a, b) => a >= b,
};
const TEXTS = { "=": NUMBERS["="], "!=": NUMBERS["!="], has: (a, b) => a.includes(b) };

function resolve([what, name], seen) {
  if (name === "*") {
    return seen.latest?.value;
  }
  const values = seen.all(name).map((event) => event.value);
  switch (what) {
    case "sum": return values.filter((value) => value !== undefined).reduce((sum, value) => sum + value, 0);
    case "count": return values.length;
    default: return what === "first" ? values[0] : values.at(-1);
  }
}

function holds([, sign, operand], event, seen) {
  if (typeof operand === "string") {
    return TEXTS[sign](event.name, operand);
  }
  const { of, factor = 1, plus = 0 } = Object(operand);
  const other = of === undefined ? operand : resolve(of, seen) * factor + plus;
  return event.value !== undefined && !Number.isNaN(other) && NUMBERS[sign](event.value, other);
}

const condition = ({ name, where }) =>
  where === undefined ? (event) => event.name === name : (event, seen) => where.every((clause) => holds(clause, event, seen));

const WORDS = {
  next: "next",
  "followed-by": "followedBy",
  "followed-by-any": "followedByAny",
  "not-next": "notNext",
  "not-followed-by": "notFollowedBy",
};

function built(spec) {
  let made;
  for (const stage of spec.stages) {
    const word = WORDS[stage.link];
    if (made === undefined) {
      made = pattern.begin(stage.name, condition(stage));
    } else if (word.startsWith("not")) {
      made[word](condition(stage));
    } else {
      made[word](stage.name, condition(stage));
    }
    for (const other of stage.or ?? []) {
      made.or(other.name, condition(other));
    }
    if (stage.times) {
      made.between(stage.times[0], stage.times[1] ?? undefined);
    }
    if (stage.inner === "next") {
      made.consecutive();
    } else if (stage.inner === "followed-by-any") {
      made.combinations();
    }
    if (stage.optional) {
      made.optional();
    }
    if (stage.greedy) {
      made.greedy();
    }
  }
  if (spec.within !== undefined) {
    made.within(BigInt(spec.within));
  }
  if (spec.limit !== undefined) {
    made.limit(spec.limit);
  }
  if (spec.evict) {
    made.evictOldest();
  }
  const { skip = "none" } = spec;
  const [kind, name] = typeof skip === "string" ? [skip] : Object.entries(skip)[0];
  return made.skip({ kind, name });
}

function item([, id, value]) {
  const event = { id, name: id.replace(/[0-9]+$/, "") };
  return value === undefined ? event : { ...event, value };
}

const told = ({ atNs, events }) => [atNs, ...events.map(({ name, event }) => `${name}:${event.id}`)].join(" ");
const again = (value) => JSON.parse(JSON.stringify(value));

function run(one) {
  const made = built(one.pattern);
  let state = new pattern.State();
  assert.equal(made.shape(), one.shape);
  one.input.forEach((row, index) => {
    const before = again(state.dump());
    const outcome = {};
    try {
      const time = BigInt(row[0]);
      const step = row.length === 1 ? made.onTime(state, time) : made.advance(state, item(row), time);
      for (const [name, found] of [["match", step.matches], ["timeout", step.timeouts], ["evicted", step.evicted]]) {
        if (found.length > 0) {
          outcome[name] = found.map(told);
        }
      }
    } catch (err) {
      outcome.error = err.kind ?? String(err.stack);
      // The event is sound unless there is no room for it.
      assert(err instanceof (err.kind === "full" ? Reject : Retry), String(err));
      assert.deepEqual(again(state.dump()), before);
    }
    assert.deepEqual(outcome, one.expect[index] ?? {}, `row ${index}`);
    const stored = again(state.dump());
    if (one.state?.[index] !== undefined) {
      assert.deepEqual(stored, one.state[index]);
    }
    if (one.due?.[index] !== undefined) {
      const due = made.due(state);
      assert.equal(due === undefined ? null : Number(due), one.due[index]);
    }
    state = pattern.State.load(stored);
  });
}

for (const { name, cases } of vectors.groups) {
  test(`patterns: ${name}`, async (group) => {
    for (const one of cases) {
      await group.test(one.name, () => run(one));
    }
  });
}

test("what means nothing is refused", () => {
  for (const { name, pattern: spec } of vectors.invalid) {
    assert.throws(() => built(spec).check(), (err) => err.kind === "invalid", name);
  }
  assert.throws(() => pattern.begin("a"), /no function/);
});

const isA = (kind) => (event) => event.kind === kind;

test("what does not come is told by a timer", () => {
  const cart = pattern.begin("filled", isA("filled")).notFollowedBy(isA("bought")).within(600_000).kept("cart");
  const engine = new Keyed({
    handle: (event) => void cart.advance(event.json()),
    onTimer: (timer) => cart.onTimer(timer).matches.map(() => new Output("abandoned", timer.key)),
  });
  for (const [kind, key] of [["filled", "anna"], ["filled", "ben"], ["bought", "ben"]]) {
    engine.send({ kind }, { key });
  }
  assert.deepEqual([engine.state("ben"), engine.timers("ben")], [{}, []]);
  assert.deepEqual(engine.advance(600_000).map((output) => output.text()), ["anna"]);
  assert.deepEqual([engine.state("anna"), engine.timers("anna")], [{}, []]);
});

test("with a longer within the timer is set anew", () => {
  let within = 600_000;
  const cart = () => pattern.begin("filled", isA("filled")).notFollowedBy(isA("bought")).within(within).kept("cart");
  const engine = new Keyed({
    handle: (event) => void cart().advance(event.json()),
    onTimer: (timer) => cart().onTimer(timer).matches.map(() => new Output("abandoned", timer.key)),
  });
  engine.send({ kind: "filled" }, { key: "anna" });
  within = 1_200_000;
  assert.deepEqual(engine.advance(600_000), []);
  assert.deepEqual(engine.advance(600_000).map((output) => output.text()), ["anna"]);
  assert.deepEqual(engine.timers("anna"), []);
});

test("a match gives its events by name", () => {
  const rise = pattern
    .begin("low", (event) => event.n < 5)
    .oneOrMore()
    .greedy()
    .next("high", (event, seen) => event.n > 2 * seen.last("low").n);
  const state = new pattern.State();
  assert.deepEqual([1, 2].map((n) => rise.advance(state, { n }, BigInt(n)).matches), [[], []]);
  const { matches } = rise.advance(state, { n: 9 }, 9n);
  assert.deepEqual(matches.map((match) => match.all("low")), [[{ n: 1 }, { n: 2 }], [{ n: 2 }]]);
  assert.deepEqual([matches[0].first("low"), matches[0].last("high"), matches[0].spanNs], [{ n: 1 }, { n: 9 }, 8n]);
  assert.equal(matches[0].first("none"), undefined);
});

test("a state of another pattern is refused", () => {
  const state = new pattern.State();
  pattern.begin("a", isA("a")).followedBy("b", isA("b")).advance(state, { kind: "a" }, 1n);
  const other = pattern.begin("a", isA("a")).next("b", isA("b"));
  assert.throws(() => other.onTime(state, 1n), (err) => err instanceof Retry && err.kind === "changed" && /is of `a ~b`, the pattern is `a >b`/.test(err.message));
  for (const stored of [null, {}, { p: "a ~b", n: 1, t: "x", e: [], r: [] }, { p: "a", n: 1, t: "1", e: [], r: [[1, false, [5]]] }]) {
    assert.throws(() => pattern.State.load(stored), (err) => err.kind === "corrupt");
  }
  const hollow = pattern.State.load({ p: "a >b", n: 1, t: "1", e: [], r: [[1, false, [[0, 0]]]] });
  assert.throws(() => other.onTime(hollow, 1n), (err) => err.kind === "corrupt");
});
