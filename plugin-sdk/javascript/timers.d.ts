/**
 * Timers of the current key.
 *
 * A timer is set by name and fires once: the engine hands it to the plugin's export `onTimer`, at its time on the plugin clock
 * or as soon after as an engine runs. Setting and cancelling take effect together with the outputs of the call. They throw
 * {@link Refused} if the plugin has no key, if the key has as many timers as it may have, or for a bad name.
 */

/** A timer that has come due. During the call `clock.now()` is `dueNs`. */
export class Timer {
  private constructor();
  /** The name under which the plugin set it. */
  readonly name: string;
  /** The key it was set for. */
  readonly key: string;
  /** When it was due, nanoseconds since the Unix epoch. */
  readonly dueNs: bigint;
  /** The same, to the millisecond. */
  readonly due: Date;
  /** What the plugin stored with it. */
  readonly data: Uint8Array;
  /**
   * The data as text.
   * @throws {Reject} if it is not UTF-8.
   */
  text(): string;
  /**
   * The data read as JSON.
   * @throws {Reject} if it is not JSON.
   */
  json<T = any>(): T;
}

/** Text, or bytes. */
export type TimerData = string | Uint8Array | ArrayBuffer | ArrayBufferView;

/**
 * Sets a timer, in place of one of the same name, that fires at this time: a date, or nanoseconds since the Unix epoch.
 * @throws {TypeError} if the plugin exports no `onTimer`.
 */
export function set(name: string, due: bigint | Date, data?: TimerData): void;
/**
 * Sets a timer, in place of one of the same name, that fires so long from now on the plugin clock: milliseconds, or a bigint of
 * nanoseconds. In `handle` that is the event's own time, so an event that comes late sets it earlier than the one before did.
 * @throws {TypeError} if the plugin exports no `onTimer`.
 */
export function after(name: string, wait: number | bigint, data?: TimerData): void;
/** Removes a timer; one that is not set is no error. */
export function cancel(name: string): void;
