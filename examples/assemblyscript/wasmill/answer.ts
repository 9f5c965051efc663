import { Area } from "./abi";
import { Header } from "./event";
import { Json } from "./json";

/** An event that a handler emits. The engine gives it its id, source and time. */
export class Output {
  /** Its CloudEvents type; null means that of the event which caused it. */
  type: string | null = null;
  headers: Header[] = [];

  /** An output with bytes as its payload. */
  constructor(
    public subject: string,
    public data: Uint8Array,
  ) {}

  /** An output with text as its payload. */
  static text(subject: string, text: string): Output {
    return new Output(subject, Uint8Array.wrap(String.UTF8.encode(text, false, String.UTF8.ErrorMode.REPLACE)));
  }

  /** An output with a JSON value as its payload. */
  static json(subject: string, value: Json): Output {
    return Output.text(subject, value.toString()).withHeader("content-type", "application/json");
  }

  /** Sets the type. */
  withType(type: string): Output {
    this.type = type;
    return this;
  }

  /** Adds a header. */
  withHeader(name: string, value: string): Output {
    this.headers.push(new Header(name, value));
    return this;
  }
}

/** What came of an event: outputs, or why it could not be handled. */
export abstract class Answer {
  /** Writes a `result<list<output>, failure>`. */
  abstract write(to: usize, area: Area): void;

  /** Whether the event was handled. */
  get ok(): bool {
    return false;
  }
}

class Done extends Answer {
  constructor(private outputs: Output[]) {
    super();
  }

  get ok(): bool {
    return true;
  }

  write(to: usize, area: Area): void {
    const items = area.list(to + 8, this.outputs.length, 36);
    for (let i = 0; i < this.outputs.length; i++) {
      const output = this.outputs[i];
      const item = items + 36 * (i as usize);
      area.text(item, output.subject);
      area.option(item + 8, output.type);
      const headers = area.list(item + 20, output.headers.length, 16);
      for (let j = 0; j < output.headers.length; j++) {
        const header = headers + 16 * (j as usize);
        area.text(header, output.headers[j].name);
        area.text(header + 8, output.headers[j].value);
      }
      area.bytes(item + 28, output.data);
    }
  }
}

class Retry extends Answer {
  constructor(
    private reason: string,
    private afterMs: i64,
  ) {
    super();
  }

  write(to: usize, area: Area): void {
    store<u8>(to, 1);
    if (this.afterMs >= 0) {
      store<u8>(to + 16, 1);
      store<u64>(to + 24, this.afterMs as u64);
    }
    area.text(to + 32, this.reason);
  }
}

class Reject extends Answer {
  constructor(private reason: string) {
    super();
  }

  write(to: usize, area: Area): void {
    store<u8>(to, 1);
    store<u8>(to + 8, 1);
    area.text(to + 16, this.reason);
  }
}

/** Handled, and nothing to emit. */
export function done(): Answer {
  return new Done([]);
}

/** Handled: this is to be published. */
export function emit(output: Output): Answer {
  return new Done([output]);
}

/** Handled: all of these are to be published, or none. */
export function emitAll(outputs: Output[]): Answer {
  return new Done(outputs);
}

/** It may work later: after so many milliseconds, or after the plugin's configured backoff if none are given. */
export function retry(reason: string, afterMs: i64 = -1): Answer {
  return new Retry(reason, afterMs);
}

/** It will never work: the event becomes a dead letter with this reason. */
export function reject(reason: string): Answer {
  return new Reject(reason);
}
