// Quantiles of any numbers, within a relative error.

/**
 * The low half of a double's bits and 14 bits of the high half are below those that name its bucket: the exponent and six bits
 * of the mantissa are left, which makes 64 buckets between a power of two and the next.
 */
const HIGH_SHIFT = 14;
/** The most buckets beside that of zero: 16 powers of two, so values that differ by a factor of 65,536. */
const BUCKETS = 1_024;

export class Quantile {
  // Least and greatest.
  #ends;
  #buckets = new Map();

  add(value) {
    if (Number.isFinite(value)) {
      this.#widen(value, value);
      this.#count(bucketOf(value), 1);
    }
  }

  get(q) {
    if (this.#ends === undefined) {
      return undefined;
    }
    const [least, greatest] = this.#ends;
    const last = this.length - 1;
    const rank = Math.floor(Math.min(Math.max(q, 0), 1) * last);
    if (rank === 0 || rank >= last) {
      return rank === 0 ? least : greatest;
    }
    let below = 0;
    const found = this.#sorted().find(([, count]) => (below += count) > rank);
    return Math.min(Math.max(found ? middle(found[0]) : greatest, least), greatest);
  }

  get length() {
    let sum = 0;
    this.#buckets.forEach((count) => (sum += count));
    return sum;
  }

  merge(other) {
    if (other.#ends !== undefined) {
      this.#widen(...other.#ends);
    }
    other.#buckets.forEach((count, bucket) => this.#count(bucket, count));
  }

  dump() {
    return this.#ends === undefined ? null : { m: [...this.#ends], b: this.#sorted().flat() };
  }

  load(stored) {
    const made = new Quantile();
    if (stored === null) {
      return made;
    }
    const { m, b } = Object(stored);
    const isRight = (number, index) =>
      Number.isInteger(number) && (index % 2 === 0 ? Math.abs(number) < 1 << 17 : number >= 0);
    if (!Array.isArray(m) || m.length !== 2 || !m.every(Number.isFinite) || !Array.isArray(b) || b.length % 2 || !b.every(isRight)) {
      throw new TypeError("not what a quantile is stored as");
    }
    made.#ends = [...m];
    for (let index = 0; index < b.length; index += 2) {
      made.#count(b[index], b[index + 1]);
    }
    return made;
  }

  #sorted() {
    return [...this.#buckets].sort(([one], [other]) => one - other);
  }

  #widen(least, greatest) {
    const [low, high] = this.#ends ?? [least, greatest];
    this.#ends = [Math.min(low, least), Math.max(high, greatest)];
  }

  #count(bucket, more) {
    this.#buckets.set(bucket, (this.#buckets.get(bucket) ?? 0) + more);
    if (this.#buckets.size - (this.#buckets.has(0) ? 1 : 0) > BUCKETS) {
      this.#giveUpSmallest();
    }
  }

  // Which buckets are left depends on those ever used only: always the 1,024 furthest from zero. Of two as near, the negative
  // one goes.
  #giveUpSmallest() {
    let smallest;
    for (const bucket of this.#buckets.keys()) {
      const isNearer = smallest === undefined || Math.abs(bucket) < Math.abs(smallest) || bucket === -smallest;
      if (bucket !== 0 && isNearer && !(bucket === -smallest && bucket > 0)) {
        smallest = bucket;
      }
    }
    const given = this.#buckets.get(smallest);
    this.#buckets.delete(smallest);
    this.#buckets.set(0, (this.#buckets.get(0) ?? 0) + given);
  }
}

const view = new DataView(new ArrayBuffer(8));

function bucketOf(value) {
  view.setFloat64(0, Math.abs(value));
  const head = view.getUint32(0) >>> HIGH_SHIFT;
  return value < 0 ? -head : head;
}

function middle(bucket) {
  if (bucket === 0) {
    return 0;
  }
  view.setUint32(0, (Math.abs(bucket) << HIGH_SHIFT) | (1 << (HIGH_SHIFT - 1)));
  view.setUint32(4, 0);
  return bucket < 0 ? -view.getFloat64(0) : view.getFloat64(0);
}
