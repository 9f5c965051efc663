import assert from "node:assert/strict";
import { test } from "node:test";

import { Reject } from "wasmill";
import { DEFAULT_NOW_NS, Keyed } from "wasmill/testing";

import * as plugin from "./plugins/dashboard-feed.js";

const SECOND = 1_000_000_000n;
const settings = { config: { best: 2, window: { kind: "tumbling", size_ms: 60_000, disorder_ms: 5_000 } } };

const sell = (engine, second, product, quantity) =>
  engine.send({ product, quantity }, { key: "north", timeNs: DEFAULT_NOW_NS + second * SECOND });
const text = (outputs) => outputs.map(({ subject, data }) => [subject, typeof data === "string" ? data : new TextDecoder().decode(data)]);

test("each minute's best are told once it is over", () => {
  const engine = new Keyed(plugin, settings);
  for (const [second, product, quantity] of [[1n, "tea", 2], [30n, "coffee", 3], [62n, "jam", 1], [59n, "tea", 2], [63n, "milk", 9]]) {
    assert.deepEqual(sell(engine, second, product, quantity), []);
  }
  const first = '{"minute":"2026-01-01T00:00:00.000Z","best":[{"product":"tea","sold":4},{"product":"coffee","sold":3}]}';
  assert.deepEqual(text(sell(engine, 65n, "jam", 1)), [["feed.north", first]]);
  const second = '{"minute":"2026-01-01T00:01:00.000Z","best":[{"product":"milk","sold":9},{"product":"jam","sold":2}]}';
  assert.deepEqual(text(engine.advance(60_000)), [["feed.north", second]]);
  assert.deepEqual(engine.advance(86_400_000), []);
  assert.deepEqual(engine.timers("north"), []);
});

test("what is no sale is set aside", () => {
  const engine = new Keyed(plugin, settings);
  for (const quantity of [undefined, "two", 1.5, -2]) {
    const sale = () => sell(engine, 1n, "tea", quantity);
    assert.throws(sale, (err) => err instanceof Reject && /quantity/.test(err.message), String(quantity));
  }
  assert.deepEqual(engine.state("north"), {});
  assert.deepEqual(sell(engine, 2n, "tea", 0), []);
});
