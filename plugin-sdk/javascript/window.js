// Windows over event time, per key: tumbling, sliding (hopping) and session windows, and aggregates that roll on.
//
// Times are bigints of nanoseconds outside, and numbers of whole milliseconds inside and in what is stored.

import { dump, load, merge } from "./aggregate.js";
import { Retry } from "./failure.js";
import { inField } from "./infield.js";
import { now } from "./host.js";

/** The most pieces (panes or sessions) that one key may have open at once. */
export const MOST_PIECES = 10_000;

const LONGEST_MS = 10 * 366 * 86_400_000;

/**
 * The definition makes no sense, or is not that of the stored windows: a retry, since the event can be handled once it is put right,
 * or is again the one that the state was stored for.
 */
export class WindowError extends Retry {
  constructor(kind, reason) {
    super(reason);
    this.kind = kind;
  }
}

/** What a window is; `of` makes windows of it. */
class Spec {
  constructor(lengths) {
    Object.assign(this, { offsetMs: 0, disorderMs: 0, latenessMs: 0 }, lengths);
  }

  of(empty) {
    const kept = length("disorder", this.disorderMs) + length("lateness", this.latenessMs);
    let span;
    let piece;
    if (this.gapMs !== undefined) {
      span = piece = someLength("gap", this.gapMs);
    } else {
      span = someLength("size", this.sizeMs);
      const slide = someLength("slide", this.slideMs);
      if (slide > span) {
        throw new WindowError("gaps", "the slide of a window is over its size, so that some events are in none");
      }
      length("offset", this.offsetMs);
      piece = greatestDivisor(span, slide);
    }
    // What lies between the watermark less what is kept behind it, and the latest event; one more at either end.
    const pieces = Math.floor((span + kept) / piece) + 2;
    if (pieces > MOST_PIECES) {
      throw tooFine(pieces);
    }
    return new Windows(this, empty);
  }
}

export const tumbling = (sizeMs, options) => sliding(sizeMs, sizeMs, options);
export const sliding = (sizeMs, slideMs, options) => new Spec({ ...options, sizeMs, slideMs });
export const session = (gapMs, options) => new Spec({ ...options, gapMs });

const TABLES = { tumbling: ["size_ms", "offset_ms"], sliding: ["size_ms", "slide_ms", "offset_ms"], session: ["gap_ms"] };
const NEEDED = { tumbling: ["size_ms"], sliding: ["size_ms", "slide_ms"], session: ["gap_ms"] };

export function spec(table) {
  const { kind, ...given } = Object(table);
  if (!Object.hasOwn(TABLES, kind ?? "")) {
    throw new Retry(`config: a window's kind is tumbling, sliding or session, not ${JSON.stringify(kind)}`);
  }
  const known = [...TABLES[kind], "disorder_ms", "lateness_ms"];
  const wrong = Object.keys(given).find((name) => !known.includes(name)) ?? NEEDED[kind].find((name) => given[name] === undefined);
  if (wrong !== undefined) {
    const has = Object.hasOwn(given, wrong) ? "has no" : "needs";
    throw new Retry(`config: a window's table does not fit: a ${kind} window ${has} ${wrong}`);
  }
  const slideMs = kind === "tumbling" ? given.size_ms : given.slide_ms;
  const { size_ms: sizeMs, gap_ms: gapMs, offset_ms: offsetMs = 0 } = given;
  const { disorder_ms: disorderMs = 0, lateness_ms: latenessMs = 0 } = given;
  return new Spec({ sizeMs, slideMs, gapMs, offsetMs, disorderMs, latenessMs });
}

function tooFine(pieces) {
  return new WindowError(
    "too-fine",
    `a window may have ${pieces} pieces open at once, over ${MOST_PIECES}\nmake its slide, gap or bucket longer, or its size, ` +
      "disorder or lateness shorter",
  );
}

/** A length in whole milliseconds. */
export function length(name, given) {
  if (!Number.isInteger(given) || given < 0) {
    throw new WindowError("not-whole-ms", `the ${name} of a window is no whole number of milliseconds`);
  }
  if (given > LONGEST_MS) {
    throw new WindowError("too-long", `the ${name} of a window is over ten years`);
  }
  return given;
}

function someLength(name, given) {
  if (length(name, given) === 0) {
    throw new WindowError("zero", `the ${name} of a window is zero`);
  }
  return given;
}

function greatestDivisor(a, b) {
  return b === 0 ? a : greatestDivisor(b, a % b);
}

/** A time in nanoseconds as whole milliseconds, rounded down. */
export const toMs = (ns) => Number(ns / 1_000_000n);
/** A time in milliseconds as nanoseconds; what is before the epoch is the epoch. */
export const toNs = (ms) => BigInt(Math.max(ms, 0)) * 1_000_000n;

const bounds = (start, end) => ({ startNs: toNs(start), endNs: toNs(end) });
const copy = (value) => load(value, dump(value));

// The last multiple of `step` from `offset` that is not after `time`.
function floor(time, step, offset) {
  const rest = (time - offset) % step;
  return time - (rest < 0 ? rest + step : rest);
}

/** The first place whose piece does not hold `isBefore`; the pieces are in order. */
export function place(pieces, isBefore) {
  const found = pieces.findIndex((piece) => !isBefore(piece));
  return found < 0 ? pieces.length : found;
}

const isTime = (ms) => Number.isInteger(ms);
const isCount = (count) => Number.isInteger(count) && count >= 0;

/** Throws TypeError unless this holds of what was stored. */
export function right(holds, what) {
  if (!holds) {
    throw new TypeError(`not what ${what} is stored as`);
  }
}

/** All open windows of a key. */
export class Open {
  watermark;
  late = 0;
  // { start, value }, by start.
  panes = [];
  // { start, end, value, told }, by start; no two overlap.
  sessions = [];
  // What the pieces were cut for; undefined if there is no piece.
  shape;

  get watermarkNs() {
    return this.watermark === undefined ? undefined : toNs(this.watermark);
  }

  get pieces() {
    return this.panes.length + this.sessions.length;
  }

  dump() {
    return {
      ...(this.watermark !== undefined && { w: this.watermark }),
      ...(this.late > 0 && { l: this.late }),
      ...(this.panes.length > 0 && { p: dumpPanes(this.panes) }),
      ...(this.sessions.length > 0 && {
        s: this.sessions.map(({ start, end, value, told }) => [start, end, dump(value), told]),
      }),
      ...(this.shape !== undefined && { c: this.shape }),
    };
  }
}

const dumpPanes = (panes) => panes.map(({ start, value }) => [start, dump(value)]);

function loadPanes(empty, stored) {
  right(Array.isArray(stored) && stored.every((pane) => Array.isArray(pane) && pane.length === 2 && isTime(pane[0])), "a window");
  return stored.map(([start, value]) => ({ start, value: load(empty, value) }));
}

export class Windows {
  #cut;
  #disorder;
  #empty;
  // What is stored belongs to it; the same text in every language.
  #shape;

  constructor(spec, empty) {
    this.#disorder = spec.disorderMs;
    this.#shape = spec.gapMs === undefined ? `${spec.sizeMs}/${spec.slideMs}+${spec.offsetMs}` : `gap ${spec.gapMs}`;
    this.#empty = empty;
    this.#cut = spec.gapMs === undefined ? new Panes(spec, empty) : new Sessions(spec, empty);
  }

  add(open, timeNs, change) {
    const { closed, late } = this.#cut.add(open, toMs(timeNs), change);
    closed.push(...this.advance(open, timeNs));
    this.#mark(open);
    return { closed, late };
  }

  advance(open, nowNs) {
    const watermark = toMs(nowNs) - this.#disorder;
    const before = open.watermark ?? -Infinity;
    if (before >= watermark) {
      return [];
    }
    open.watermark = watermark;
    const closed = this.#cut.close(open, watermark, before);
    this.#mark(open);
    return closed;
  }

  // Notes what the pieces are of; without any the next definition is as good.
  #mark(open) {
    open.shape = open.pieces > 0 ? this.#shape : undefined;
  }

  due(open) {
    const due = this.#cut.due(open);
    return due === undefined ? undefined : toNs(due + this.#disorder);
  }

  peek(open, timeNs) {
    return this.#cut.peek(open, toMs(timeNs));
  }

  load(stored) {
    const { w, l = 0, p = [], s = [], c, ...rest } = Object(stored);
    const isPair = (told) => Array.isArray(told) && told.length === 2 && told.every(isTime);
    const isSession = (piece) =>
      Array.isArray(piece) && piece.length === 4 && isPair(piece.slice(0, 2)) && Array.isArray(piece[3]) && piece[3].every(isPair);
    right(Object(stored) === stored && (w === undefined || isTime(w)) && isCount(l), "a window");
    right(Array.isArray(s) && s.every(isSession) && Object.keys(rest).length === 0, "a window");
    right(c === undefined || typeof c === "string", "a window");
    if (c !== undefined && c !== this.#shape && p.length + s.length > 0) {
      const hint = "give the field another name, or delete it in migrate";
      throw new WindowError("changed", `the stored windows are of \`${c}\`, the definition is \`${this.#shape}\`\nhint: ${hint}`);
    }
    const sessions = s.map(([start, end, value, told]) => ({ start, end, value: load(this.#empty, value), told }));
    return Object.assign(new Open(), { watermark: w, late: l, panes: loadPanes(this.#empty, p), sessions, shape: c });
  }

  onEvent(field, timeNs, change) {
    return inField(field, this, () => new Open(), (open) => this.add(open, timeNs, change));
  }

  onTimer(field) {
    return inField(field, this, () => new Open(), (open) => this.advance(open, now()), true);
  }
}

// Tumbling and sliding windows share panes: each event is in one pane, each window is a run of whole panes (Li et al., "No Pane,
// No Gain", 2005). A pane is as long as the greatest common divisor of size and slide.
class Panes {
  constructor({ sizeMs, slideMs, offsetMs, latenessMs }, empty) {
    Object.assign(this, { size: sizeMs, slide: slideMs, offset: offsetMs, lateness: latenessMs, empty });
    this.pane = greatestDivisor(sizeMs, slideMs);
  }

  add(open, time, change) {
    const watermark = open.watermark ?? -Infinity;
    const start = floor(time, this.pane, this.offset);
    if (this.lastEnd(start) + this.lateness <= watermark) {
      open.late += 1;
      return { closed: [], late: true };
    }
    const isCorrected = (end) => end <= watermark && end + this.lateness > watermark;
    const corrected = this.ends(start).filter(isCorrected).map((end) => ({ end, told: this.of(open, end).length > 0 }));
    const at = place(open.panes, (pane) => pane.start < start);
    if (open.panes[at]?.start !== start) {
      open.panes.splice(at, 0, { start, value: copy(this.empty) });
    }
    change(open.panes[at].value);
    const closed = corrected.map(({ end, told }) => {
      const window = bounds(end - this.size, end);
      return { window, value: this.value(open, end), replaces: told ? [window] : [] };
    });
    return { closed, late: false };
  }

  // Closes the windows that end after the watermark before and up to the one now, and drops the panes that no window needs any
  // more.
  close(open, watermark, before) {
    const closed = [];
    for (let end = this.nextEnd(open, before); end <= watermark; end = this.nextEnd(open, end)) {
      closed.push({ window: bounds(end - this.size, end), value: this.value(open, end), replaces: [] });
    }
    open.panes = open.panes.filter((pane) => this.lastEnd(pane.start) + this.lateness > watermark);
    return closed;
  }

  due(open) {
    if (open.panes.length === 0) {
      return undefined;
    }
    return this.nextEnd(open, open.watermark ?? -Infinity) ?? this.lastEnd(open.panes[0].start) + this.lateness;
  }

  peek(open, time) {
    const ends = this.ends(floor(time, this.pane, this.offset)).filter((end) => this.of(open, end).length > 0);
    return ends.map((end) => ({ window: bounds(end - this.size, end), value: this.value(open, end) }));
  }

  // The ends of the windows that hold the pane at `start`, ascending.
  ends(start) {
    const ends = [];
    for (let end = this.endAfter(start); end <= start + this.size; end += this.slide) {
      ends.push(end);
    }
    return ends;
  }

  endAfter(time) {
    return floor(time, this.slide, this.offset + this.size) + this.slide;
  }

  // The end of the last window that holds the pane at `start`.
  lastEnd(start) {
    return floor(start, this.slide, this.offset) + this.size;
  }

  // The first end after `after` of a window that holds an event.
  nextEnd(open, after) {
    if (open.panes.length === 0) {
      return undefined;
    }
    const end = this.endAfter(Math.max(after, open.panes[0].start));
    const pane = open.panes.find((pane) => pane.start >= end - this.size);
    return pane && (pane.start < end ? end : this.endAfter(pane.start));
  }

  of(open, end) {
    return open.panes.filter((pane) => pane.start >= end - this.size && pane.start < end);
  }

  // The panes of a window merged, the earliest first.
  value(open, end) {
    const [first, ...rest] = this.of(open, end);
    const value = copy(first.value);
    rest.forEach((pane) => merge(value, pane.value));
    return value;
  }
}

class Sessions {
  constructor({ gapMs, latenessMs }, empty) {
    Object.assign(this, { gap: gapMs, lateness: latenessMs, empty });
  }

  add(open, time, change) {
    const watermark = open.watermark ?? -Infinity;
    const from = place(open.sessions, (session) => session.end <= time);
    const to = place(open.sessions, (session) => session.start < time + this.gap);
    if (from === to && time + this.gap + this.lateness <= watermark) {
      open.late += 1;
      return { closed: [], late: true };
    }
    // An event may join two sessions, or begin a new one.
    const parts = open.sessions.slice(from, to);
    const merged = {
      start: Math.min(time, ...parts.map((part) => part.start)),
      end: Math.max(time + this.gap, ...parts.map((part) => part.end)),
      value: parts[0]?.value ?? copy(this.empty),
      told: parts.flatMap((part) => part.told),
    };
    parts.slice(1).forEach((part) => merge(merged.value, part.value));
    change(merged.value);
    open.sessions.splice(from, to - from, merged);
    return { closed: merged.end <= watermark ? [tell(merged)] : [], late: false };
  }

  close(open, watermark, before) {
    const closed = open.sessions.filter(({ end }) => end > before && end <= watermark).map(tell);
    open.sessions = open.sessions.filter(({ end }) => end + this.lateness > watermark);
    return closed;
  }

  due(open) {
    const next = open.sessions.find(({ end }) => end > (open.watermark ?? -Infinity));
    return next?.end ?? (open.sessions.length > 0 ? open.sessions[0].end + this.lateness : undefined);
  }

  peek(open, time) {
    const held = open.sessions.filter(({ start, end }) => start <= time && time < end);
    return held.map(({ start, end, value }) => ({ window: bounds(start, end), value: copy(value) }));
  }
}

function tell(session) {
  const replaces = session.told.map(([start, end]) => bounds(start, end));
  session.told = [[session.start, session.end]];
  return { window: bounds(session.start, session.end), value: copy(session.value), replaces };
}

/** What a key keeps of a rolling aggregate. */
export class Buckets {
  late = 0;
  panes = [];

  get latestNs() {
    const start = this.panes.at(-1)?.start;
    return start === undefined ? undefined : toNs(start);
  }

  get pieces() {
    return this.panes.length;
  }

  dump() {
    return { ...(this.late > 0 && { l: this.late }), p: dumpPanes(this.panes) };
  }
}

export class Rolling {
  #span;
  #bucket;
  #empty;

  constructor(spanMs, bucketMs, empty) {
    this.#span = someLength("span", spanMs);
    this.#bucket = someLength("bucket", bucketMs);
    this.#empty = empty;
    if (spanMs % bucketMs !== 0) {
      throw new WindowError("uneven", "the bucket of a rolling aggregate does not divide its span");
    }
    if (spanMs / bucketMs > MOST_PIECES) {
      throw tooFine(spanMs / bucketMs);
    }
  }

  add(kept, timeNs, change) {
    const start = floor(toMs(timeNs), this.#bucket, 0);
    const latest = Math.max(kept.panes.at(-1)?.start ?? start, start);
    if (start <= latest - this.#span) {
      kept.late += 1;
      return false;
    }
    kept.panes = kept.panes.filter((pane) => pane.start > latest - this.#span);
    const at = place(kept.panes, (pane) => pane.start < start);
    if (kept.panes[at]?.start !== start) {
      kept.panes.splice(at, 0, { start, value: copy(this.#empty) });
    }
    change(kept.panes[at].value);
    return true;
  }

  over(kept, nowNs, spanMs = this.#span) {
    const until = floor(toMs(nowNs), this.#bucket, 0);
    const after = until - Math.min(spanMs, this.#span);
    const value = copy(this.#empty);
    kept.panes.filter(({ start }) => start > after && start <= until).forEach((pane) => merge(value, pane.value));
    return value;
  }

  load(stored) {
    const { l = 0, p, ...rest } = Object(stored);
    right(isCount(l) && Object.keys(rest).length === 0, "a rolling aggregate");
    return Object.assign(new Buckets(), { late: l, panes: loadPanes(this.#empty, p) });
  }

  onEvent(field, timeNs, change) {
    return inField(field, this, () => new Buckets(), (kept) => {
      this.add(kept, timeNs, change);
      return kept;
    });
  }
}
