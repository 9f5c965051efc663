// The conformance plugin with the engine of unit tests, which is what authors have in Node.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { plugin } from "../../../examples/assemblyscript/wasmill/testing.mjs";

const bytes = await readFile(new URL("build/conformance.wasm", import.meta.url));
const keyed = (parts = {}) => plugin(bytes, {}, { key: "k", ...parts });
const script = (...lines) => ({ subject: "conformance.in.script", data: lines.join("\n") });
const answers = ({ outputs }) => outputs[0].data.split("\n");

test("fields are kept from call to call, and not by one that fails", async () => {
  const { handle, state, timers } = await keyed({ state: { n: "2", "a/ü": "" } });
  assert.deepEqual(answers(handle(script("count n -5", "get n", "get a/ü", "get x", "set x y z", "names a/", "delete a/ü"))), [
    "value -3", "value -3", "value ", "none", "ok", "names a/ü", "ok",
  ]);
  assert.deepEqual(handle(script("set n 7", "at t 1 x", "fail")), { reject: "never: ü" });
  assert.deepEqual([state(), timers()], [{ n: "-3", x: "y z" }, []]);
});

test("refusals have names, and become the answer of a call that does not ask", async () => {
  const { handle } = await plugin(bytes);
  assert.deepEqual(answers(handle(script("get a", "names ", "cancel t", "lookup b 7"))), [
    "error no-key", "error no-key", "error no-key", "error not-granted",
  ]);
  assert.match(handle({ subject: "conformance.in.swap" }).retry, /no key.*manifest/);
  const other = await keyed({ tables: { b: { 7: "row" }, late: null } });
  const many = Array.from({ length: 1001 }, (_, i) => `at ${i} 1 `);
  assert.equal(answers(other.handle(script(...many)))[1000], "error too-many 1000");
  assert.deepEqual(answers(other.handle(script(`set a ${"x".repeat(262_144)}`, "set  x", "lookup b 7", "lookup b 8", "lookup late 7"))), [
    "error too-large 262144", "error bad-name", "value row", "none", "error not-ready",
  ]);
  assert.deepEqual(answers(other.handle(script("set n 1.5", "count n 1"))), ["ok", "error bad-value"]);
});

test("timers fire in order at their time", async () => {
  const { handle, fire, timers } = await keyed();
  handle(script("at b 1100 set last b", "at a 1100 ", "at late 1200 fail", "after c 1 ", "at gone 1 ", "cancel gone"));
  const [b, a, late] = fire(1400);
  assert.deepEqual(b.outputs[0].headers, [["x-name", "b"], ["x-key", "k"], ["x-due", "1100"], ["x-now", "1100"]]);
  assert.deepEqual([a.outputs[0].headers[0][1], late], ["a", { reject: "never: ü" }]);
  assert.deepEqual(timers().map(({ name, due }) => [name, due]), [["c", 1_000_000n]]);
});
