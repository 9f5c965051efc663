// `npm test`, after `npm run build`: the plugin by itself, without an engine.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { plugin } from "./wasmill/testing.mjs";

const bytes = await readFile(new URL("build/large-payment.wasm", import.meta.url));
const configured = () => plugin(bytes, { limit: 220, output: "alerts.payments" });
const payment = (fields) => ({ subject: "payments.card", data: JSON.stringify(fields) });

test("only payments over the limit raise an alert", async () => {
  const { handle, log } = await configured();
  assert.deepEqual(handle(payment({ id: "p1", amount: 220 })), { outputs: [] });
  const { outputs } = handle(payment({ id: "p2", amount: 220.5 }));
  assert.equal(outputs.length, 1);
  assert.equal(outputs[0].subject, "alerts.payments");
  assert.deepEqual(JSON.parse(outputs[0].data), { payment: "p2", over_by: 0.5 });
  assert.deepEqual(log, [{ level: "info", message: "over the limit", fields: [["payment", "p2"], ["amount", "220.5"]] }]);
});

test("a payment without an amount is set aside", async () => {
  const { handle } = await configured();
  assert.deepEqual(handle(payment({ id: "p1" })), { reject: "missing field `amount`" });
  assert.deepEqual(handle(payment({ id: "p1", amount: "much" })), { reject: "field `amount` is not a number" });
});

test("what is no JSON is set aside with its place", async () => {
  const { handle } = await configured();
  assert.deepEqual(handle({ data: '{"id": "p1",\n "amount" 7}' }), {
    reject: "the data is no JSON: a colon is missing at line 2, column 11",
  });
});
