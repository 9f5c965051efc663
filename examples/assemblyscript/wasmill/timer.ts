import { Answer, done } from "./answer";

/** A timer that has come due. While it is handled, `clock.now` is the time it was due. */
export class Timer {
  constructor(
    /** The name under which it was set. */
    public name: string,
    /** The key it was set for. */
    public key: string,
    /** When it was due, nanoseconds since the Unix epoch. */
    public dueNs: u64,
    /** What was stored with it. */
    public data: Uint8Array,
  ) {}
}

function nothing(_timer: Timer): Answer {
  return done();
}

export let timerHandler: (timer: Timer) => Answer = nothing;

/**
 * Makes a function the handler of timers. To be called once, at the top level of the entry file, which then also says
 * `export * from "./wasmill/timer-exports"`.
 */
export function onTimer(handle: (timer: Timer) => Answer): void {
  timerHandler = handle;
}
