// Windows, aggregates and joins: the vectors that every language's SDK runs, and their use in a plugin.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { Output, Reject, Retry, aggregate, join, window } from "../index.js";
import { DEFAULT_NOW_NS, Keyed } from "../testing.js";

const vectors = JSON.parse(readFileSync(new URL("../../tests/vectors/windows.json", import.meta.url), "utf8"));
const MS = 1_000_000n;
const FRACTIONS = [0, 0.01, 0.25, 0.5, 0.9, 0.99, 1];

const KINDS = {
  count: () => new aggregate.Count(),
  sum: () => new aggregate.Sum(),
  mean: () => new aggregate.Mean(),
  min: () => new aggregate.Min(),
  max: () => new aggregate.Max(),
  distinct: () => new aggregate.Distinct(),
  quantile: () => new aggregate.Quantile(),
  top: (spec) => new aggregate.Top(spec.capacity),
  largest: (spec) => new aggregate.Largest(spec.n),
  rows: (spec) => new aggregate.Rows(spec.n),
};

const ANSWERS = {
  distinct: (one) => ({ count: one.get(), exact: one.isExact }),
  quantile: (one) => FRACTIONS.map((q) => [q, one.get(q)]),
  top: (one) => ({ first: one.get(2).map(({ label, weight, error }) => [label, weight, error]), exact: one.isExact }),
  largest: (one) => ({ winners: one.winners().map(({ label, score }) => [label, score]) }),
  rows: (one) => ({ rows: one.get(), over: one.over }),
};

const made = (spec) => KINDS[spec.kind](spec);
const again = (value) => JSON.parse(JSON.stringify(value ?? null));
const isLabelled = (one) => one instanceof aggregate.Top || one instanceof aggregate.Largest;
const add = (one, value) => (isLabelled(one) ? one.add(...value) : one.add(value));

function* values(rules, ofStrings) {
  for (const rule of rules) {
    if (rule?.range) {
      for (let i = rule.range[0]; i < rule.range[1]; i += 1) {
        yield ofStrings ? String(i) : i;
      }
    } else if (rule?.powers) {
      const [base, start, end] = rule.powers;
      for (let exponent = 0, power = 1; exponent < end; exponent += 1, power *= Math.abs(base)) {
        if (exponent >= start) {
          yield base < 0 ? -power : power;
        }
      }
    } else {
      yield rule;
    }
  }
}

function filled(spec, rules) {
  const one = made(spec);
  for (const value of values(rules, spec.kind === "distinct")) {
    add(one, value);
  }
  return one;
}

const ns = (ms) => BigInt(Math.round(ms * 1e6));
const inMs = (due) => (due === undefined ? null : Number(due / MS));
const bounds = ({ startNs, endNs }) => [startNs, endNs].map(inMs);
const told = ({ window, value, replaces }) => ({
  window: bounds(window),
  value: again(aggregate.dump(value)),
  replaces: replaces.map(bounds),
});

test("all parts are run", () => {
  assert.deepEqual(Object.keys(vectors).sort(), ["aggregates", "changed", "joins", "refused", "rolling", "windows"]);
});

for (const one of vectors.aggregates) {
  test(`aggregates: ${one.name}`, () => {
    const filledOne = filled(one.aggregate, one.add);
    if (one.merge) {
      filledOne.merge(filled(one.aggregate, one.merge));
    }
    assert.deepEqual(again(filledOne.dump()), one.state);
    const answers = ANSWERS[one.aggregate.kind] ?? ((given) => given.get());
    assert.deepEqual(again(answers(made(one.aggregate).load(one.state))), one.answers);
  });
}

for (const one of vectors.windows) {
  test(`windows: ${one.name}`, () => {
    const windows = window.spec(one.window).of(made(one.aggregate));
    let open = new window.Open();
    one.steps.forEach((step, index) => {
      let closed;
      if (step.now_ms === undefined) {
        const added = windows.add(open, ns(step.at_ms), (given) => add(given, step.add));
        assert.equal(added.late, step.late);
        closed = added.closed;
      } else {
        closed = windows.advance(open, ns(step.now_ms));
      }
      assert.deepEqual(closed.map(told), step.closed, `step ${index}`);
      assert.equal(inMs(windows.due(open)), step.due_ms, `step ${index}`);
      assert.deepEqual(again(open.dump()), step.state, `step ${index}`);
      open = windows.load(step.state);
    });
  });
}

test("windows that make no sense are refused", () => {
  for (const { window: spec, because } of vectors.refused) {
    let kind = null;
    try {
      window.spec(spec).of(new aggregate.Count());
    } catch (err) {
      assert(err instanceof window.WindowError && err instanceof Retry);
      kind = err.kind;
    }
    assert.equal(kind, because);
  }
});

test("stored windows of another definition are refused", () => {
  for (const { name, window: spec, state, because } of vectors.changed) {
    let kind = null;
    try {
      window.spec(spec).of(new aggregate.Count()).load(state);
    } catch (err) {
      assert(err instanceof window.WindowError && err instanceof Retry, name);
      kind = err.kind;
    }
    assert.equal(kind, because, name);
  }
});

for (const one of vectors.rolling) {
  test(`rolling: ${one.name}`, () => {
    const rolling = new window.Rolling(one.span_ms, one.bucket_ms, made(one.aggregate));
    let kept = new window.Buckets();
    for (const step of one.steps) {
      if (step.over) {
        assert.deepEqual(again(rolling.over(kept, ns(step.over[0]), step.over[1]).dump()), step.value);
      } else {
        const counted = rolling.add(kept, ns(step.at_ms), (given) => add(given, step.add));
        assert.deepEqual([!counted, again(kept.dump())], [step.late, step.state]);
        kept = rolling.load(step.state);
      }
    }
  });
}

for (const one of vectors.joins) {
  test(`joins: ${one.name}`, () => {
    const { before_ms = 0, after_ms = 0, disorder_ms: disorderMs, capacity } = one.join;
    const joining = new join.Join(before_ms, after_ms, { disorderMs, capacity });
    let held = new join.Held();
    for (const step of one.steps) {
      let unmatched;
      if (step.now_ms === undefined) {
        const side = "left" in step ? "left" : "right";
        const joined = joining[side](held, ns(step.at_ms), step[side]);
        assert.deepEqual([joined.late, joined.pairs], [step.late, step.pairs]);
        unmatched = joined.unmatched;
      } else {
        unmatched = joining.advance(held, ns(step.now_ms));
      }
      assert.deepEqual(unmatched.map(({ side, value }) => ({ [side]: value })), step.unmatched);
      assert.equal(inMs(joining.due(held)), step.due_ms);
      assert.deepEqual(again(held.dump()), step.state);
      held = joining.load(step.state);
    }
  });
}

test("windows close by events and by a timer", () => {
  const minutes = window.tumbling(60_000, { disorderMs: 5_000 }).of({ n: new aggregate.Count(), sum: new aggregate.Sum() });
  const tell = (closed) => closed.map(({ window, value }) => Output.json("out", [...bounds(window), value.n.get(), value.sum.get()]));
  const handle = (event) => {
    const { closed, late } = minutes.onEvent("takings", event.timeNs, ({ n, sum }) => {
      n.add();
      sum.add(event.field("amount", "number"));
    });
    return [...tell(closed), ...(late ? [new Output("late")] : [])];
  };
  const engine = new Keyed({ handle, onTimer: () => tell(minutes.onTimer("takings")) });
  const sell = (amount, seconds) => engine.send({ amount }, { key: "shop", timeNs: DEFAULT_NOW_NS + BigInt(seconds) * 1_000n * MS });
  const start = Number(DEFAULT_NOW_NS / MS);
  assert.deepEqual([sell(2.5, 1), sell(2.5, 2)], [[], []]);
  assert.deepEqual(sell(2.5, 66).map((output) => output.json()), [[start, start + 60_000, 2, 5]]);
  assert.equal(sell(1, 0)[0].subject, "late");
  assert.deepEqual(engine.advance(58_999), []);
  assert.deepEqual(engine.advance(1)[0].json().slice(2), [1, 2.5]);
  assert.deepEqual(engine.timers("shop"), []);
  engine.set("shop", "takings", { p: [[1, 2]] });
  assert.throws(() => sell(1, 200), (err) => err instanceof Retry && /state field `takings`: not what/.test(err.message));
});

test("windows of another definition wait", () => {
  let size = 60_000;
  const counts = () => window.tumbling(size).of(new aggregate.Count());
  const tell = (closed) => closed.map(({ value }) => new Output("out", String(value.get())));
  const engine = new Keyed({
    handle: (event) => tell(counts().onEvent("n", event.timeNs, (count) => count.add()).closed),
    onTimer: () => tell(counts().onTimer("n")),
  });
  engine.send({}, { key: "c" });
  size = 90_000;
  const before = engine.state("c");
  const isRefused = (err) => err instanceof Retry && err.kind === "changed" && /are of `60000\/60000\+0`, the definition is `90000/.test(err.message);
  assert.throws(() => engine.send({}, { key: "c" }), isRefused);
  assert.throws(() => engine.advance(60_000), isRefused);
  assert.deepEqual(engine.state("c"), before);
  size = 60_000;
  assert.deepEqual(engine.advance(0).map((output) => output.text()), ["1"]);
  size = 90_000;
  assert.deepEqual(engine.send({}, { key: "c" }), []);
});

test("joins tell what met nothing by a timer", () => {
  const payments = new join.Join(0, 60_000);
  const handle = (event) => {
    const { side, id } = event.json();
    return payments.onEvent("open", event.timeNs, side, id).pairs.map((pair) => new Output("paid", pair.join(" ")));
  };
  const onTimer = () => payments.onTimer("open").map(({ side, value }) => new Output("missed", `${side} ${value}`));
  const engine = new Keyed({ handle, onTimer });
  engine.send({ side: "left", id: "o1" }, { key: "c" });
  assert.deepEqual(engine.send({ side: "right", id: "p1" }, { key: "c" }).map((output) => output.text()), ["o1 p1"]);
  engine.send({ side: "left", id: "o2" }, { key: "c", timeNs: engine.nowNs + MS });
  assert.deepEqual(engine.advance(60_001).map((output) => output.text()), ["left o2"]);
  assert.deepEqual(engine.timers("c"), []);
  assert.throws(() => payments.onEvent("open", 0n, "middle", 1), /left and right/);
});

test("rolling counts the last so much time", () => {
  const hour = new window.Rolling(3_600_000, 60_000, new aggregate.Count());
  const engine = new Keyed((event) => {
    const kept = hour.onEvent("hour", event.timeNs, (count) => count.add());
    assert.equal(kept.latestNs, event.timeNs);
    return new Output("out", String(hour.over(kept, event.timeNs).get()));
  });
  const counts = [0, 30, 59, 61, 200].map((minute) => engine.send({}, { key: "c", timeNs: DEFAULT_NOW_NS + BigInt(minute) * 60_000n * MS })[0].text());
  assert.deepEqual(counts, ["1", "2", "3", "3", "1"]);
});

test("what is stored by something else is refused", () => {
  for (const [kind, wrong] of Object.entries({
    count: [-1, 1.5, "1", true],
    sum: [1, [1], ["a", 0]],
    mean: [1, [1], [1, 1]],
    min: ["a", [1]],
    distinct: [3, { h: "AAAA" }, { r: "AAAA" }, { h: "AAAAAAAAAA!" }, {}, null],
    quantile: [1, { m: [0, 1], b: [1] }, { m: [0, 1], b: [1, -1] }, { m: [0, 1], b: [9_999_999, 1] }],
    top: [1, { c: 1 }, { c: 1, f: 0, e: [["a"]] }],
    largest: [1, { n: 1, e: [["a"]] }],
    rows: [1, { n: 1 }],
  })) {
    for (const stored of wrong) {
      assert.throws(() => made({ kind, capacity: 1, n: 1 }).load(stored), TypeError, `${kind} ${JSON.stringify(stored)}`);
    }
  }
  assert.throws(() => aggregate.load({ n: new aggregate.Count() }, {}), TypeError);
  assert.throws(() => aggregate.load([new aggregate.Count(), new aggregate.Count()], [1]), TypeError);
});

test("what cannot be counted is rejected", () => {
  const [count, top] = [new aggregate.Count(), new aggregate.Top(5)];
  for (const weight of [-1, 1.5, NaN, Infinity, 2 ** 53, "1", null, true, 1n]) {
    const isRejected = (err) => err instanceof Reject && /is a whole number from 0/.test(err.message);
    assert.throws(() => count.add(weight), isRejected, String(weight));
    assert.throws(() => top.add("a", weight), isRejected, String(weight));
  }
  count.add(0);
  count.add(3);
  top.add("a", 2);
  assert.deepEqual([count.dump(), top.dump().e], [3, [["a", 2, 0]]]);
  const most = new aggregate.Count().load(2 ** 63);
  most.merge(new aggregate.Count().load(2 ** 63));
  assert.equal(most.get(), Number.MAX_SAFE_INTEGER);
  top.add("a", Number.MAX_SAFE_INTEGER);
  top.merge(top.load(top.dump()));
  assert.deepEqual(top.dump().e, [["a", Number.MAX_SAFE_INTEGER, 0]]);
});

test("a window of the config that makes no sense is a retry", () => {
  for (const table of [undefined, {}, { kind: "global" }, { kind: "tumbling" }, { kind: "session", gap_ms: 1, late_ms: 1 }]) {
    assert.throws(() => window.spec(table), (err) => err instanceof Retry && /^config: a window's/.test(err.message));
  }
  assert.deepEqual(window.spec({ kind: "sliding", size_ms: 2, slide_ms: 1 }).sizeMs, window.sliding(2, 1).sizeMs);
});

test("a long label is cut between characters", () => {
  const top = new aggregate.Top(5);
  for (const [label, length] of [["é".repeat(200), 128], [`x${"é".repeat(200)}`, 128], ["😀".repeat(100), 128], ["y".repeat(300), 256]]) {
    top.add(label);
    assert(top.get(5).some((entry) => entry.label.length === length && label.startsWith(entry.label)), label);
  }
});
