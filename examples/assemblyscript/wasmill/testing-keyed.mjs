// What the engine of unit tests keeps for a plugin with a key: state, timers and tables.

const NAME_MAX_BYTES = 256;
const RECORD_MAX_BYTES = 262_144;
const TIMERS_MAX = 1_000;
// What an engine counts for each beside its name and content.
const FIELD_COST_BYTES = 8;
const TIMER_COST_BYTES = 32;
const encoder = new TextEncoder();

/** The record of one key. A call that fails gets back what was kept before it. */
export class Record {
  constructor({ key, state = {}, tables = {} }) {
    this.key = key;
    this.fields = new Map(Object.entries(state).map(([name, value]) => [name, encoder.encode(value)]));
    this.timers = new Map();
    this.tables = tables;
  }

  /** Does something, and undoes what it changed if `failed` says so of what comes of it. */
  attempt(call, failed) {
    const [fields, timers] = [new Map(this.fields), new Map(this.timers)];
    const told = call();
    if (failed(told)) [this.fields, this.timers] = [fields, timers];
    return told;
  }

  /** The timers, in the order in which they will fire: of two that are due together the one that was set first. */
  inOrder() {
    return [...this.timers.values()].sort((a, b) => (a.due < b.due ? -1 : a.due > b.due ? 1 : 0));
  }

  /** What the contract's functions of state, timer-control and lookup are in the tests: `memory` reads and writes the plugin's. */
  imports(memory) {
    const refusal = (name) => {
      if (this.key === undefined) return { error: 0 };
      return name === "" || encoder.encode(name).length > NAME_MAX_BYTES ? { error: 2 } : null;
    };
    const named = (answer, write) => (name, length, ...rest) => {
      const text = memory().slice(name, length);
      memory()[write](rest.pop(), refusal(text) ?? answer(text, ...rest));
    };
    return {
      "wasmill:plugin/state@0.1.0": {
        get: named((name) => ({ option: this.fields.get(name) ?? null }), "stateAnswer"),
        set: named((name, value, length) => this.set(name, memory().copy(value, length)), "stateAnswer"),
        delete: named((name) => ({ done: this.fields.delete(name) }), "stateAnswer"),
        names: (prefix, length, answer) => {
          const begins = memory().slice(prefix, length);
          const names = [...this.fields.keys()].filter((name) => name.startsWith(begins)).sort();
          memory().stateAnswer(answer, this.key === undefined ? { error: 0 } : { names });
        },
      },
      "wasmill:plugin/timer-control@0.1.0": {
        set: named((name, due, data, length) => this.setTimer(name, BigInt.asUintN(64, due), memory().copy(data, length)), "timerAnswer"),
        cancel: named((name) => ({ done: this.timers.delete(name) }), "timerAnswer"),
      },
      "wasmill:plugin/lookup@0.1.0": {
        get: (table, tableLength, key, keyLength, answer) => {
          const rows = this.tables[memory().slice(table, tableLength)];
          const row = rows?.[memory().slice(key, keyLength)];
          const told = rows ? { option: row === undefined ? null : encoder.encode(row) } : { error: rows === undefined ? 0 : 1 };
          memory().lookupAnswer(answer, told);
        },
      },
    };
  }

  set(name, value) {
    const size = (text, held, cost) => encoder.encode(text).length + held.length + cost;
    let bytes = size(name, value, FIELD_COST_BYTES);
    for (const [other, held] of this.fields) if (other !== name) bytes += size(other, held, FIELD_COST_BYTES);
    for (const [timer, { data }] of this.timers) bytes += size(timer, data, TIMER_COST_BYTES);
    if (bytes > RECORD_MAX_BYTES) return { error: 1, limit: RECORD_MAX_BYTES };
    this.fields.set(name, value);
    return { done: true };
  }

  setTimer(name, due, data) {
    if (!this.timers.has(name) && this.timers.size >= TIMERS_MAX) return { error: 1, limit: TIMERS_MAX };
    // Set again, it is the last that was set.
    this.timers.delete(name);
    this.timers.set(name, { name, due, data });
    return { done: true };
  }
}
