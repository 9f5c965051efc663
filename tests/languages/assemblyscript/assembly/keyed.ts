// What needs a key: scripts of commands on state, timers and tables. tests/languages/README.md says what each does.

import {
  Answer,
  Event,
  Migrated,
  Output,
  Refusal,
  Timer,
  clock,
  emit,
  lookup,
  reject,
  state,
  takeRefusal,
  timers,
} from "../../../../examples/assemblyscript/wasmill";

/** The words of one line: each up to the next space, the last one the rest. */
class Words {
  constructor(private rest: string) {}

  next(): string {
    const end = this.rest.indexOf(" ");
    const word = end < 0 ? this.rest : this.rest.substring(0, end);
    this.rest = end < 0 ? "" : this.rest.substring(end + 1);
    return word;
  }

  last(): string {
    return this.rest;
  }
}

function coded(text: string): Uint8Array {
  return Uint8Array.wrap(String.UTF8.encode(text));
}

function found(value: Uint8Array | null): string {
  return value === null ? "none" : "value " + String.UTF8.decode(value.buffer);
}

/** The answer to one command, null if there is no such command. */
function command(what: string, words: Words): string | null {
  if (what == "get") return found(state.get(words.last()));
  if (what == "set") state.set(words.next(), coded(words.last()));
  else if (what == "delete") state.remove(words.last());
  else if (what == "names") return ["names"].concat(state.names(words.last())).join(" ");
  else if (what == "at") timers.set(words.next(), U64.parseInt(words.next()), coded(words.last()));
  else if (what == "after") timers.after(words.next(), U64.parseInt(words.next()), coded(words.last()));
  else if (what == "cancel") timers.cancel(words.last());
  else if (what == "lookup") return found(lookup.get(words.next(), words.last()));
  else if (what == "count") return "value " + state.count(words.next(), I64.parseInt(words.last())).toString();
  else return null;
  return "ok";
}

function named(refusal: Refusal): string {
  return "error " + refusal.kind + (refusal.limit > 0 ? " " + refusal.limit.toString() : "");
}

/** The answers to a script, one a line, or why it failed. */
class Ran {
  answers: string[] = [];
  failure: Answer | null = null;

  constructor(script: string) {
    const lines = script.length > 0 ? script.split("\n") : [];
    for (let i = 0; i < lines.length && this.failure === null; i++) {
      const words = new Words(lines[i]);
      const what = words.next();
      const answer = command(what, words);
      const refusal = takeRefusal();
      if (refusal !== null) this.answers.push(named(refusal));
      else if (answer !== null) this.answers.push(answer);
      else this.failure = reject(what == "fail" ? "never: ü" : "unknown command " + what);
    }
  }

  get text(): string {
    return this.answers.join("\n");
  }
}

export function script(event: Event): Answer {
  const ran = new Ran(event.text);
  const failure = ran.failure;
  return failure !== null ? failure : emit(Output.text("conformance.out", ran.text));
}

/** What the field `raw` was, which now is the data. */
export function swap(event: Event): Answer {
  const before = state.get("raw");
  state.set("raw", event.data);
  const output = new Output("conformance.out", before === null ? new Uint8Array(0) : before);
  return emit(output.withHeader("x-before", before === null ? "no" : "yes"));
}

export function fired(timer: Timer): Answer {
  const ran = new Ran(String.UTF8.decode(timer.data.buffer));
  const failure = ran.failure;
  if (failure !== null) return failure;
  const output = Output.text("conformance.out.timer", ran.text)
    .withHeader("x-name", timer.name)
    .withHeader("x-key", timer.key)
    .withHeader("x-due", timer.dueNs.toString())
    .withHeader("x-now", clock.now().toString());
  return emit(output);
}

export function migrated(from: string, name: string, value: Uint8Array): Migrated {
  if (name == "drop") return Migrated.away();
  if (name == "bad") return Migrated.failed("bad of " + from);
  const prefix = coded(from + ":");
  const whole = new Uint8Array(prefix.length + value.length);
  whole.set(prefix);
  whole.set(value, prefix.length);
  return Migrated.to(whole);
}
