// The engine in native unit tests.

export { DEFAULT_NOW_NS, Test, event } from "./test-engine.js";
export { Keyed } from "./test-keyed.js";
