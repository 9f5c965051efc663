// What a program of this language prints goes into the engine's log.

import { log as lines } from "./host";

/** The language's own `console`, which the compiler is told to take from here. */
export namespace console {
  export function log(message: string = ""): void {
    lines.info(message);
  }
  export function debug(message: string = ""): void {
    lines.debug(message);
  }
  export function info(message: string = ""): void {
    lines.info(message);
  }
  export function warn(message: string = ""): void {
    lines.warn(message);
  }
  export function error(message: string = ""): void {
    lines.error(message);
  }
}
