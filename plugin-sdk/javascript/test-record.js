// What a test's engine stores for one key.

const NAME_MAX_BYTES = 256;

const bytesIn = (text) => Buffer.byteLength(text);

// As the engine has it: in order of their bytes.
const byBytes = (one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other));

/** The fields and timers of one key. What it refuses it throws as a list of kind and limit. */
export class Record {
  constructor(limits, before) {
    this.limits = limits;
    this.fields = new Map(before?.fields);
    this.timers = new Map(before?.timers);
    this.settings = before?.settings ?? 0;
  }

  copy() {
    return new Record(this.limits, this);
  }

  #size() {
    let size = 0;
    this.fields.forEach((value, name) => (size += bytesIn(name) + value.length));
    this.timers.forEach((timer, name) => (size += bytesIn(name) + timer.data.length));
    return size;
  }

  get(name) {
    check(name);
    return this.fields.get(name)?.slice();
  }

  set(name, value) {
    check(name);
    const before = this.fields.get(name);
    const grown = this.#size() + value.length + (before === undefined ? bytesIn(name) : -before.length);
    if (grown > this.limits.recordBytes) {
      throw ["too-large", this.limits.recordBytes];
    }
    this.fields.set(name, value);
  }

  delete(name) {
    check(name);
    this.fields.delete(name);
  }

  names(prefix) {
    return [...this.fields.keys()].filter((name) => name.startsWith(prefix)).sort(byBytes);
  }

  setTimer(name, dueNs, data) {
    check(name);
    if (!this.timers.has(name) && this.timers.size >= this.limits.timers) {
      throw ["too-many", this.limits.timers];
    }
    this.settings += 1;
    this.timers.set(name, { name, dueNs, data, number: this.settings });
  }

  cancel(name) {
    check(name);
    this.timers.delete(name);
  }

  /** The timers as they will fire. */
  inOrder() {
    return [...this.timers.values()].sort((one, other) =>
      one.dueNs === other.dueNs ? one.number - other.number : one.dueNs < other.dueNs ? -1 : 1,
    );
  }
}

function check(name) {
  if (!isNamed(name)) {
    throw ["bad-name"];
  }
}

/** Whether a name or key is of 1 to 256 bytes. */
export const isNamed = (name) => bytesIn(name) >= 1 && bytesIn(name) <= NAME_MAX_BYTES;
