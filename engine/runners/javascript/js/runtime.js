// The glue between the runtime and an author's module: makes events and timers, calls the author's functions, explains what
// they throw.

import { Event, Refused, Reject, Retry, Timer, shown, title } from "./index.js";
import { answer, migrated } from "./answer.js";
import { cache } from "./host.js";

/** Handles one event, given field by field in the order of the contract. */
export function serve(handle, id, source, type, subject, timeNs, key, headers, data, attempt, replyTo) {
  return answer(handle, new Event(id, source, type, subject, timeNs, key, headers, data, attempt, replyTo), "handle");
}

/** Handles one timer, given field by field in the order of the contract. */
export function fire(module, name, key, dueNs, data) {
  if (module.onTimer === undefined) {
    throw new TypeError(`timer "${name}" came due, and the plugin exports no \`onTimer\``);
  }
  return answer(module.onTimer, new Timer(name, key, dueNs, data), "onTimer");
}

/** Turns a field into its present shape; it stays as it is if the author has no function for that. */
export function upgrade(module, version, name, value) {
  return module.migrate === undefined ? value : migrated(module.migrate, version, name, value);
}

/** What was thrown, for the contract: kind, text, stack, and after how many milliseconds to try again. */
export function explain(thrown) {
  if (thrown instanceof Retry) {
    return ["retry", String(thrown.message), "", thrown.afterMs === undefined ? -1 : Math.round(thrown.afterMs)];
  }
  if (thrown instanceof Reject) {
    return ["reject", String(thrown.message), "", -1];
  }
  if (thrown instanceof Refused) {
    return [thrown.mayPass ? "retry" : "reject", thrown.message, "", -1];
  }
  return ["exception", message(thrown), thrown instanceof Error ? stack(thrown) : "", -1];
}

function message(thrown) {
  return thrown instanceof Error ? title(thrown) : `uncaught ${shown(thrown)}`;
}

// An error that another one led to is told with it.
function stack(thrown) {
  let told = String(thrown.stack ?? "");
  for (let cause = thrown.cause, depth = 0; cause instanceof Error && depth < 4; cause = cause.cause, depth += 1) {
    told += `\ncaused by ${message(cause)}\n${String(cause.stack ?? "")}`;
  }
  return told;
}

/** Takes note of the author's module. What it says about itself, checked. Throws TypeError if it makes no sense. */
export function about(module) {
  cache.hasOnTimer = module.onTimer !== undefined;
  const told = module.about;
  if (told === undefined) {
    return undefined;
  }
  if (typeof told !== "object" || told === null) {
    throw new TypeError(`about is ${told === null ? "null" : typeof told}, not an object`);
  }
  const text = (name) => {
    const value = told[name] ?? "";
    if (typeof value !== "string") {
      throw new TypeError(`about: ${name} is ${typeof value}, not a string`);
    }
    return value;
  };
  const texts = (name) => {
    const value = told[name] ?? [];
    if (!Array.isArray(value) || value.some((item) => typeof item !== "string")) {
      throw new TypeError(`about: ${name} is no list of strings`);
    }
    return value;
  };
  return [text("name"), text("version"), text("summary"), texts("subjects"), texts("emits")];
}
