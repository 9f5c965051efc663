// Windows, joins and the like in a state field, with a timer of the same name for what time brings about.

import { Retry } from "./failure.js";
import { Value } from "./state.js";
import { moveTo } from "./timers.js";

/**
 * Works on what a field holds, as `kind` loads it and says when it is due; `begin` is for a field that is not set. A timer that
 * fired is gone, even if the same time is due as before.
 */
export function inField(field, kind, begin, work, fired = false) {
  const value = new Value(field);
  const stored = value.get();
  let kept;
  try {
    kept = stored === undefined ? begin() : kind.load(stored);
  } catch (err) {
    if (err instanceof Retry) {
      throw err;
    }
    throw new Retry(`state field \`${field}\`: ${err.message}`);
  }
  const before = fired ? undefined : kind.due?.(kept);
  const answer = work(kept);
  value.set(kept.dump());
  moveTo(field, before, kind.due?.(kept));
  return answer;
}
