import assert from "node:assert/strict";
import { test } from "node:test";

import { Reject } from "wasmill";
import { Test } from "wasmill/testing";

import { handle } from "./plugin.js";

const configured = () => new Test(handle, { config: { limit: 100, output: "alerts.large" } });

test("an amount over the limit raises an alert", () => {
  const engine = configured();
  const [alert] = engine.send({ id: "p1", amount: 100.5 });
  assert.equal(alert.subject, "alerts.large");
  assert.deepEqual(alert.json(), { payment: "p1", over_by: 0.5 });
  assert.equal(engine.lines[0].message, "over the limit");
});

test("the limit itself raises none", () => {
  assert.deepEqual(configured().send({ id: "p1", amount: 100 }), []);
});

test("a payment without an amount is set aside", () => {
  assert.throws(
    () => configured().send({ id: "p1" }),
    (err) => err instanceof Reject && err.message.includes("missing field `amount`"),
  );
});
