import assert from "node:assert/strict";
import { test } from "node:test";

import { Output, Refused, Reject, Retry, Timer, clock, lookup, state, timers } from "../index.js";
import { DEFAULT_NOW_NS, Keyed, Test } from "../testing.js";

const MINUTE = 60_000_000_000n;
const text = (outputs) => outputs.map((output) => output.text());

/** An engine whose functions of the SDK work on the key k. */
function idle(settings) {
  const engine = new Keyed(() => {}, settings);
  engine.send({}, { key: "k" });
  return engine;
}

test("fields are bytes or text", () => {
  const engine = new Keyed((event) => {
    const before = state.get("raw");
    state.set("raw", event.data);
    return new Output("out", before ?? "none");
  });
  assert.deepEqual(text(engine.send(Uint8Array.of(0xff, 0), { key: "a" })), ["none"]);
  assert.deepEqual(engine.send(Uint8Array.of(1), { key: "a" })[0].bytes(), Uint8Array.of(0xff, 0));
  assert.deepEqual(text(engine.send({}, { key: "b" })), ["none"]);
  assert.deepEqual(engine.bytes("a", "raw"), Uint8Array.of(1));
  engine.send({}, { key: "a" });
  state.set("text", "ü");
  assert.deepEqual(state.names(), ["raw", "text"]);
  assert.deepEqual(state.names("te"), ["text"]);
  state.delete("raw");
  state.delete("raw");
  assert.equal(state.get("raw"), undefined);
  assert.throws(() => state.get(5), /a field's name is number, not a string/);
  assert.throws(() => state.set("n", 5), /state.Value takes any other value/);
});

test("what is stored is the same in all languages", () => {
  const engine = new Keyed(() => {
    new state.Value("value").set({ a: [1, "ü", null] });
    new state.Counter("count").add(2);
    for (const value of ["a", "b", "c"]) {
      new state.List("list", 2).push(value);
    }
    new state.Map("map").set("k/1", "v");
    new state.Set("set").add("x");
  });
  engine.send({}, { key: "k" });
  assert.deepEqual(engine.state("k"), {
    count: "2",
    list: '["b","c"]',
    "map/k/1": '"v"',
    "set/x": "true",
    value: '{"a":[1,"ü",null]}',
  });
});

test("a value has a default of its own each time", () => {
  idle();
  const seen = new state.Value("seen", []);
  seen.get().push(1);
  assert.deepEqual(seen.get(), []);
  assert.deepEqual(seen.update((value) => [...value, 1]), [1]);
  assert.deepEqual(seen.get(), [1]);
  seen.delete();
  assert.deepEqual(seen.get(), []);
  assert.equal(new state.Value("none").get(), undefined);
  assert.throws(() => seen.set(undefined), /undefined has no JSON form/);
});

test("a counter counts whole numbers of 64 bits", () => {
  idle();
  const count = new state.Counter("n");
  assert.deepEqual([count.get(), count.add(), count.add(-3), count.get()], [0, 1, -2, -2]);
  count.set(2n ** 63n - 2n);
  assert.equal(count.add(5n), 2n ** 63n - 1n);
  assert.equal(count.getBigInt(), 2n ** 63n - 1n);
  assert.equal(new TextDecoder().decode(state.get("n")), "9223372036854775807");
  assert.throws(() => count.add(1.5), /whole numbers, not 1.5/);
  count.delete();
  assert.equal(count.get(), 0);
});

test("a list keeps the last", () => {
  idle();
  const last = new state.List("last", 3);
  assert.deepEqual([0, 1, 2, 3, 4].map((n) => last.push(n)), [1, 2, 3, 3, 3]);
  assert.deepEqual([...last], [2, 3, 4]);
  assert.equal(last.length, 3);
  last.set([1, 2, 3, 4]);
  assert.deepEqual(last.get(), [2, 3, 4]);
  assert.throws(() => new state.List("none", 0), RangeError);
});

test("a map and a set are used as those of the language", () => {
  idle();
  const map = new state.Map("m");
  const set = new state.Set("s");
  map.set("b", 2).set("a", [1]);
  assert.deepEqual([...map], [["a", [1]], ["b", 2]]);
  assert.deepEqual([map.size, map.has("a"), map.has("c"), map.get("c"), map.get("c", 0)], [2, true, false, undefined, 0]);
  assert.equal(map.update("b", (n = 0) => n + 1), 3);
  assert.deepEqual([map.delete("a"), map.delete("a"), map.keys(), map.values()], [true, false, ["b"], [3]]);
  assert.deepEqual([set.add("x"), set.add("x"), set.add("w"), [...set]], [true, false, true, ["w", "x"]]);
  assert.deepEqual([set.delete("x"), set.delete("x"), set.has("w"), set.size], [true, false, true, 1]);
  map.clear();
  set.clear();
  assert.deepEqual(state.names(), []);
  assert.throws(() => set.add(5), /an entry is number/);
});

test("a field that holds something else is a retry that names it", () => {
  idle();
  state.set("n", "x");
  state.set("s", '"y"');
  for (const [read, wanted] of [
    [() => new state.Value("n").get(), /^state field `n` is not JSON: /],
    [() => new state.Counter("s").get(), /^state field `s` does not hold a whole number$/],
    [() => new state.List("s", 1).get(), /^state field `s` does not hold a list$/],
  ]) {
    assert.throws(read, (err) => err instanceof Retry && wanted.test(err.message));
  }
});

test("a failed call changes nothing", async () => {
  const handle = (event) => {
    new state.Counter("n").add();
    timers.after("t", 1);
    if (event.json().fail) {
      throw new Reject("no");
    }
  };
  for (const plugin of [handle, async (event) => handle(event)]) {
    const engine = new Keyed(plugin);
    await engine.send({}, { key: "k" });
    const before = [engine.state("k"), engine.timers("k")];
    await assert.rejects(async () => engine.send({ fail: true }, { key: "k" }), Reject);
    assert.deepEqual([engine.state("k"), engine.timers("k")], before);
    assert.equal(new state.Counter("n").get(), 1);
  }
});

test("a refusal has a kind and a limit", () => {
  const ask = (called, ...values) => {
    try {
      called(...values);
    } catch (err) {
      assert(err instanceof Refused);
      return [err.kind, err.limit, err.mayPass];
    }
  };
  idle({ recordKib: 1, timers: 1, tables: { loading: null } });
  state.set("n", "x".repeat(1_023));
  assert.deepEqual(ask(state.set, "n", "x".repeat(1_024)), ["too-large", 1_024, false]);
  assert.equal(state.get("n").length, 1_023);
  timers.after("t", 1);
  timers.after("t", 2);
  assert.deepEqual(ask(timers.after, "u", 1), ["too-many", 1, false]);
  for (const called of [state.get, state.delete, timers.cancel]) {
    assert.deepEqual(ask(called, ""), ["bad-name", undefined, false]);
    assert.deepEqual(ask(called, "ü".repeat(129)), ["bad-name", undefined, false]);
  }
  assert.deepEqual(ask(lookup.get, "loading", "x"), ["not-ready", undefined, true]);
  assert.deepEqual(ask(lookup.get, "other", "x"), ["not-granted", undefined, true]);
  new Test();
  for (const called of [state.get, state.names, timers.cancel]) {
    assert.deepEqual(ask(called, "x"), ["no-key", undefined, true]);
  }
});

test("an event without a key is no event of such a plugin", () => {
  for (const key of [undefined, "", "x".repeat(257)]) {
    assert.throws(() => new Keyed(() => {}).send({}, { key }), /1 to 256 bytes/);
  }
});

test("timers fire in order at their time", () => {
  const handle = () => {
    for (const [name, wait] of [["c", 3], ["a", 1], ["b", 1], ["gone", 2]]) {
      timers.after(name, wait * 60_000, String(wait));
    }
    timers.cancel("gone");
    timers.cancel("never");
  };
  const onTimer = (timer) => {
    new state.Counter("fired").add();
    return new Output("out", `${timer.key} ${timer.name} ${timer.text()} ${(clock.now() - DEFAULT_NOW_NS) / MINUTE}`);
  };
  const engine = new Keyed({ handle, onTimer });
  engine.send({}, { key: "k" });
  engine.send({}, { key: "j" });
  assert.deepEqual(engine.timers("k").map((timer) => timer.name), ["a", "b", "c"]);
  assert.deepEqual(text(engine.advance(2n * MINUTE)), ["j a 1 1", "j b 1 1", "k a 1 1", "k b 1 1"]);
  assert.equal(engine.nowNs, DEFAULT_NOW_NS + 2n * MINUTE);
  assert.deepEqual(text(engine.send({}, { key: "k", timeNs: DEFAULT_NOW_NS + 4n * MINUTE })), ["j c 3 3", "k c 3 3"]);
  assert.equal(engine.get("k", "fired"), 3);
});

test("a timer that is set again fires once at its last time", async () => {
  const plugin = { handle: (event) => timers.after("quiet", 1_000, event.data), onTimer: (timer) => new Output("out", timer.data) };
  const later = { handle: async (event) => plugin.handle(event), onTimer: async (timer) => plugin.onTimer(timer) };
  for (const kind of [plugin, later]) {
    const engine = new Keyed(kind);
    await engine.send(1, { key: "k" });
    await engine.advance(600);
    await engine.send(2, { key: "k" });
    assert.deepEqual(await engine.advance(900), []);
    assert.deepEqual(text(await engine.advance(100)), ["2"]);
    assert.deepEqual(await engine.advance(10_000), []);
  }
});

test("a timer may set itself again", () => {
  const tick = () => {
    timers.after("tick", 1_000);
    return new Output("out");
  };
  const engine = new Keyed({ handle: tick, onTimer: tick });
  engine.send({}, { key: "k" });
  assert.equal(engine.advance(10_500).length, 10);
});

test("a timer that fails has changed nothing", () => {
  for (const [Failure, left] of [[Retry, ["t"]], [Reject, []]]) {
    const onTimer = () => {
      state.set("changed", "x");
      throw new Failure("no");
    };
    const engine = new Keyed({ handle: () => timers.after("t", 1), onTimer });
    engine.send({}, { key: "k" });
    assert.throws(() => engine.advance(1), Failure);
    assert.deepEqual(engine.state("k"), {});
    assert.deepEqual(engine.timers("k").map((timer) => timer.name), left);
  }
});

test("timers are within what a clock can tell", () => {
  idle();
  timers.after("late", 2n ** 80n);
  timers.set("past", 0n);
  timers.set("date", new Date(1_000));
  timers.after("half", 0.5);
  for (const [due, wait] of [[-1n, -1], [2n ** 64n, NaN], [5, "1"]]) {
    assert.throws(() => timers.set("t", due), RangeError);
    assert.throws(() => timers.after("t", wait), RangeError);
  }
});

test("without a function for timers the error says what to write", () => {
  const engine = new Keyed(() => timers.after("t", 1));
  engine.send({}, { key: "k" });
  assert.throws(() => engine.advance(1), /no function onTimer/);
});

test("a timer's data is JSON or a reject", () => {
  const timer = (data) => new Timer("t", "k", 1_000_000n, new TextEncoder().encode(data));
  assert.deepEqual(timer('{"n":5}').json(), { n: 5 });
  assert.equal(timer("").due.getTime(), 1);
  assert.throws(() => timer("x").json(), (err) => err instanceof Reject && /the data of timer `t` is not JSON/.test(err.message));
});

test("rows of lookup tables are bytes, text or JSON", () => {
  new Test(undefined, { tables: { tiers: { "c-1": { tier: "gold" }, "c-2": Uint8Array.of(0xff), "c-3": "plain" } } });
  assert.deepEqual(lookup.json("tiers", "c-1"), { tier: "gold" });
  assert.deepEqual(lookup.get("tiers", "c-2"), Uint8Array.of(0xff));
  assert.equal(lookup.text("tiers", "c-3"), "plain");
  assert.deepEqual([lookup.get("tiers", "c-4"), lookup.json("tiers", "c-4", 1), lookup.contains("tiers", "c-1")], [undefined, 1, true]);
  assert.throws(() => lookup.json("tiers", "c-2"), (err) => err instanceof Retry && /row `c-2` of lookup table `tiers`/.test(err.message));
});

test("fields of an older version are brought up to date once", () => {
  const migrate = (version, name, value) => {
    assert.equal(version, "1.0.0");
    if (name === "scratch") {
      return null;
    }
    return name === "total" ? JSON.stringify(JSON.parse(new TextDecoder().decode(value)) * 100) : value;
  };
  const engine = new Keyed({ handle: () => {}, migrate });
  for (const [name, value] of [["total", 1.5], ["scratch", 1], ["same", "x"]]) {
    engine.set("k", name, value);
  }
  engine.upgradedFrom("1.0.0");
  engine.send({}, { key: "k" });
  engine.send({}, { key: "k" });
  assert.deepEqual(engine.state("k"), { same: "x", total: "150" });
});

test("a migration that fails leaves the old state", async () => {
  const fail = (version) => {
    throw new Error(`bad of ${version}`);
  };
  for (const [migrate, wanted] of [[fail, /bad of 1.0.0/], [async (version) => fail(version), /bad of 1.0.0/], [() => {}, /or null to delete/]]) {
    const engine = new Keyed({ handle: () => {}, migrate });
    engine.set("k", "n", "1");
    engine.upgradedFrom("1.0.0");
    for (let round = 0; round < 2; round += 1) {
      await assert.rejects(async () => engine.send({}, { key: "k" }), wanted);
    }
    assert.deepEqual(engine.state("k"), { n: "1" });
  }
});
