import { takeBytes, takeOption, takeText } from "./abi";
import { Json } from "./json";

/** A header's name and value. */
export class Header {
  constructor(
    public name: string,
    public value: string,
  ) {}
}

/** One message on the bus with its CloudEvents attributes. */
export class Event {
  /** Identifies the event within its source. */
  id: string = "";
  source: string = "";
  type: string = "";
  /** The subject it was published to. */
  subject: string = "";
  /** When it happened, nanoseconds since the Unix epoch. */
  timeNs: u64 = 0;
  /** Its key, where the manifest names one. */
  key: string | null = null;
  headers: Header[] = [];
  /** The payload. */
  data: Uint8Array = new Uint8Array(0);
  /** Which delivery this is, from 1. */
  attempt: u32 = 1;
  /** Where the publisher waits for an answer. */
  replyTo: string | null = null;

  /** The payload as text. */
  get text(): string {
    return String.UTF8.decode(this.data.buffer);
  }

  /** The payload read as JSON. If it is none, the value's `fault` says why and where. */
  json(): Json {
    return Json.parse(this.text);
  }

  /** The first header of a name, whatever its case. */
  header(name: string): string | null {
    const wanted = name.toLowerCase();
    for (let i = 0; i < this.headers.length; i++) {
      if (this.headers[i].name.toLowerCase() == wanted) return this.headers[i].value;
    }
    return null;
  }
}

/** Reads the event that the engine wrote. */
export function takeEvent(at: usize): Event {
  const event = new Event();
  event.id = takeText(at, 0);
  event.source = takeText(at, 8);
  event.type = takeText(at, 16);
  event.subject = takeText(at, 24);
  event.timeNs = load<u64>(at + 32);
  event.key = takeOption(at, 40);
  const headers = load<u32>(at + 52) as usize;
  const count = load<u32>(at + 56);
  for (let i: u32 = 0; i < count; i++) {
    const header = headers + 16 * (i as usize);
    event.headers.push(new Header(takeText(header, 0), takeText(header, 8)));
  }
  if (count > 0) heap.free(headers);
  event.data = takeBytes(at, 60);
  event.attempt = load<u32>(at + 68);
  event.replyTo = takeOption(at, 72);
  heap.free(at);
  return event;
}
