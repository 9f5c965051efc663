import assert from "node:assert/strict";
import { test } from "node:test";

import { Output, Reject, Retry, clock, config, log, random } from "../index.js";
import { DEFAULT_NOW_NS, Test, event } from "../testing.js";

const bytes = (text) => new TextEncoder().encode(text);

test("an event reads its payload", () => {
  const given = event({ id: "p1", card: { country: "DE" }, tags: [] }, { headers: { "X-Trace": "t1" }, key: "k" });
  assert.equal(given.json().id, "p1");
  assert.equal(given.json(), given.json());
  assert.equal(given.field("card.country", "string"), "DE");
  assert.equal(given.field("card.city", "string", "none"), "none");
  assert.equal(given.header("x-trace"), "t1");
  assert.deepEqual(given.headerValues("X-TRACE"), ["t1"]);
  assert.equal(given.header("x-other"), undefined);
  assert.equal(given.time.toISOString(), "2026-01-01T00:00:00.000Z");
});

test("what a payload lacks is told", () => {
  for (const [data, read, wanted] of [
    [bytes('{"a":'), (e) => e.json(), /^the payload is not JSON: /],
    [Uint8Array.of(0xff), (e) => e.json(), /^the payload is not UTF-8: /],
    [Uint8Array.of(0xff), (e) => e.text(), /^the payload is not UTF-8: /],
    [{}, (e) => e.field("amount", "number"), /^missing field `amount`$/],
    [{ amount: "1" }, (e) => e.field("amount", "number"), /^field `amount`: expected a number, found a string$/],
    [{ amount: 1.5 }, (e) => e.field("amount", "integer"), /expected a whole number, found a number/],
    [[1], (e) => e.field("a.b"), /expected an object that holds `a`, found a list/],
    [{ a: null }, (e) => e.field("a.b"), /expected an object that holds `b`, found null/],
  ]) {
    assert.throws(() => read(event(data)), (err) => err instanceof Reject && wanted.test(err.message));
  }
  assert.throws(() => event({ a: 1 }).field("a", "float"), RangeError);
});

test("an output takes text, bytes and JSON", () => {
  assert.deepEqual(new Output("a", "ü").bytes(), bytes("ü"));
  assert.equal(new Output("a", bytes("ü")).text(), "ü");
  const output = Output.json("a.b", { n: 1 }, { type: "t", headers: { x: "y" } });
  assert.deepEqual(output.json(), { n: 1 });
  assert.equal(output.type, "t");
  assert.deepEqual(output.headers, [["content-type", "application/json"], ["x", "y"]]);
  assert.throws(() => new Output(7), /subject is number/);
  assert.throws(() => new Output("a", { n: 1 }), /Output.json takes any other value/);
  assert.throws(() => new Output("a", "", { headers: { x: 1 } }), /header x is number/);
  assert.throws(() => Output.json("a", undefined), /undefined has no JSON form/);
});

test("a handler's answer is a list of outputs", async () => {
  const one = new Output("a");
  const sent = (answer) => new Test(() => answer).send({});
  assert.deepEqual(sent(undefined), []);
  assert.deepEqual(sent(null), []);
  assert.deepEqual(sent(one), [one]);
  assert.deepEqual(sent([one, one]), [one, one]);
  assert.deepEqual(sent(new Set([one])), [one]);
  assert.deepEqual(await sent(Promise.resolve(one)), [one]);
  assert.deepEqual(new Test(function* () { yield one; }).send({}), [one]);
  assert.throws(() => sent(7), /handle returned number 7/);
  assert.throws(() => sent("a"), /handle returned string a/);
  assert.throws(() => sent({ subject: "a" }), /handle returned Object/);
  assert.throws(() => sent([1]), /handle gave number 1 as an output/);
});

test("failures say what they are", () => {
  assert.equal(new Retry("later", { afterMs: 1500 }).afterMs, 1500);
  assert.equal(new Retry("later").afterMs, undefined);
  assert.equal(String(new Reject("never")), "Reject: never");
  assert.throws(() => new Retry("later", { afterMs: "soon" }), TypeError);
});

test("the config is the table of the manifest", () => {
  new Test(undefined, { config: { limit: 5, name: "x", list: [1] } });
  assert.equal(config.get("limit"), 5);
  assert.equal(config.get("toString"), undefined);
  assert.equal(config.get("missing", 7), 7);
  assert.equal(config.text("limit"), "5");
  assert.equal(config.text("name"), "x");
  assert.equal(config.text("missing"), undefined);
  assert.equal(config.need("limit", "number"), 5);
  assert.throws(() => config.need("missing", "number"), (err) => err instanceof Retry && /missing `missing`/.test(err.message));
  assert.throws(() => config.need("name", "number"), /name: expected a number, found a string/);
  assert.throws(() => config.all().list.push(2), TypeError);
});

test("the log takes values of any kind", () => {
  const engine = new Test();
  const loop = {};
  loop.self = loop;
  log.warn("odd", { n: 1, list: [1, 2n], err: new TypeError("x"), none: undefined, loop });
  assert.deepEqual(engine.lines, [
    {
      level: "warn",
      message: "odd",
      fields: { n: "1", list: '[1,"2"]', err: "TypeError: x", none: "undefined", loop: "[object Object]" },
    },
  ]);
});

test("the clock stands still and randomness repeats", () => {
  const draw = () => [random.next(), random.float(), ...random.bytes(3)];
  new Test(undefined, { seed: 7 });
  assert.equal(clock.now(), DEFAULT_NOW_NS);
  assert.equal(clock.nowMs(), 1_767_225_600_000);
  const first = draw();
  new Test(undefined, { seed: 7 });
  assert.deepEqual(draw(), first);
  new Test(undefined, { seed: 8 });
  assert.notDeepEqual(draw(), first);
  assert.equal(random.bytes(70_000).length, 70_000);
});
