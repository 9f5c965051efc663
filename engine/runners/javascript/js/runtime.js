// The glue between the runtime and an author's module: makes events, calls the handler, explains what it throws.

import { Event, Reject, Retry, shown, title } from "./index.js";
import { answer } from "./answer.js";

/** Handles one event, given field by field in the order of the contract. */
export function serve(handle, id, source, type, subject, timeNs, key, headers, data, attempt, replyTo) {
  return answer(handle, new Event(id, source, type, subject, timeNs, key, headers, data, attempt, replyTo));
}

/** What was thrown, for the contract: kind, text, stack, and after how many milliseconds to try again. */
export function explain(thrown) {
  if (thrown instanceof Retry) {
    return ["retry", String(thrown.message), "", thrown.afterMs === undefined ? -1 : Math.round(thrown.afterMs)];
  }
  if (thrown instanceof Reject) {
    return ["reject", String(thrown.message), "", -1];
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

/** What the author's module says about itself, checked. Throws TypeError if it makes no sense. */
export function about(module) {
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
