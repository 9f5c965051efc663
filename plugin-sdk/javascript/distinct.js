// How many different members: exact while few, then HyperLogLog.

import * as host from "./host.js";

/** The most members that are counted exactly: their hashes then fill 2 KiB, half of what the registers take. */
const EXACT = 256;
const INDEX_BITS = 12;
const REGISTERS = 1 << INDEX_BITS;
const RANK_BITS = 64 - INDEX_BITS;
const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const HASH_DIGITS = 11;
const WRONG = "not what a distinct count is stored as";

export class Distinct {
  // Sorted.
  #hashes = [];
  #registers;

  add(member) {
    this.#insert(hash(typeof member === "string" ? host.encode(member) : member));
  }

  get() {
    return this.isExact ? this.#hashes.length : estimate(this.#registers);
  }

  get isExact() {
    return this.#registers === undefined;
  }

  merge(other) {
    if (!other.isExact) {
      this.#toRegisters();
      other.#registers.forEach((rank, index) => (this.#registers[index] = Math.max(this.#registers[index], rank)));
    }
    other.#hashes.forEach((hashed) => this.#insert(hashed));
  }

  dump() {
    return this.isExact
      ? { h: this.#hashes.map(digits).join("") }
      : { r: Array.from(this.#registers, (rank) => DIGITS[rank]).join("") };
  }

  load(stored) {
    const made = new Distinct();
    const { h, r, ...rest } = Object(stored);
    const values = (text) => Array.from(text, (digit) => value(digit));
    if (typeof h === "string" && r === undefined && h.length % HASH_DIGITS === 0) {
      const hashes = new Set(h.match(/.{11}/g)?.map((text) => number(values(text))));
      made.#hashes = [...hashes].sort(byNumber);
    } else if (typeof r === "string" && h === undefined && r.length === REGISTERS) {
      made.#registers = Uint8Array.from(values(r));
    } else {
      throw new TypeError(WRONG);
    }
    if (Object.keys(rest).length > 0) {
      throw new TypeError(WRONG);
    }
    return made;
  }

  #insert(hashed) {
    if (!this.isExact) {
      raise(this.#registers, hashed);
      return;
    }
    let place = 0;
    for (let end = this.#hashes.length; place < end; ) {
      const middle = (place + end) >> 1;
      this.#hashes[middle] < hashed ? (place = middle + 1) : (end = middle);
    }
    if (this.#hashes[place] !== hashed) {
      this.#hashes.splice(place, 0, hashed);
      if (this.#hashes.length > EXACT) {
        this.#toRegisters();
      }
    }
  }

  #toRegisters() {
    if (this.isExact) {
      this.#registers = new Uint8Array(REGISTERS);
      this.#hashes.forEach((hashed) => raise(this.#registers, hashed));
      this.#hashes = [];
    }
  }
}

const byNumber = (one, other) => (one < other ? -1 : one > other ? 1 : 0);

// FNV-1a of 64 bits, mixed by the finalizer of MurmurHash3. The first part takes a step for each byte, so it calculates with two
// halves of 32 bits: its factor is 2^40 + 435.
function hash(bytes) {
  let low = 0x84222325;
  let high = 0xcbf29ce4;
  for (const byte of bytes) {
    const mixed = (low ^ byte) >>> 0;
    const product = mixed * 435;
    high = (Math.imul(high, 435) + Math.floor(product / 2 ** 32) + (mixed << 8)) >>> 0;
    low = product >>> 0;
  }
  let hashed = (BigInt(high) << 32n) | BigInt(low);
  hashed = BigInt.asUintN(64, (hashed ^ (hashed >> 33n)) * 0xff51afd7ed558ccdn);
  hashed = BigInt.asUintN(64, (hashed ^ (hashed >> 33n)) * 0xc4ceb9fe1a85ec53n);
  return hashed ^ (hashed >> 33n);
}

// Raises the register of a hash to its rank: one more than the zeros that its other bits begin with.
function raise(registers, hashed) {
  const index = Number(hashed >> BigInt(RANK_BITS));
  const rest = BigInt.asUintN(RANK_BITS, hashed);
  const high = Number(rest >> 32n);
  const zeros = high === 0 ? RANK_BITS - 32 + Math.clz32(Number(BigInt.asUintN(32, rest))) : Math.clz32(high) - INDEX_BITS;
  registers[index] = Math.max(registers[index], zeros + 1);
}

// The improved raw estimator, algorithm 6 of Ertl's paper. It only adds, multiplies, divides and takes square roots, which
// IEEE 754 defines to the last bit: all languages find the same number.
function estimate(registers) {
  const ofRank = new Array(RANK_BITS + 2).fill(0);
  registers.forEach((rank) => (ofRank[rank] += 1));
  const m = REGISTERS;
  let z = m * tau(1 - ofRank[RANK_BITS + 1] / m);
  for (let rank = RANK_BITS; rank > 0; rank -= 1) {
    z = 0.5 * (z + ofRank[rank]);
  }
  z += m * sigma(ofRank[0] / m);
  return Math.floor((m * m) / (2 * Math.LN2 * z) + 0.5);
}

// x + x² + 2 x⁴ + 4 x⁸ + ..., until it stands still.
function sigma(x) {
  if (x >= 1) {
    return Infinity;
  }
  let [y, z, before] = [1, x, -1];
  while (z > before) {
    x *= x;
    before = z;
    z += x * y;
    y += y;
  }
  return z;
}

// One third of 1 - x - (1 - √x)² / 2 - (1 - ⁴√x)² / 4 - ..., until it stands still.
function tau(x) {
  if (x <= 0 || x >= 1) {
    return 0;
  }
  let [y, z, before] = [1, 1 - x, Infinity];
  while (z < before) {
    x = Math.sqrt(x);
    before = z;
    y *= 0.5;
    z -= (1 - x) * (1 - x) * y;
  }
  return z / 3;
}

// A hash as the base64 of its eight bytes, the highest first, without padding: ten digits of six bits, then one of four.
function digits(hashed) {
  let told = "";
  for (let shift = 58n; shift >= 0n; shift -= 6n) {
    told += DIGITS[Number((hashed >> shift) & 63n)];
  }
  return told + DIGITS[Number((hashed & 15n) << 2n)];
}

function number(values) {
  const first = values.slice(0, -1).reduce((sum, value) => (sum << 6n) | BigInt(value), 0n);
  return (first << 4n) | BigInt(values[HASH_DIGITS - 1] >> 2);
}

function value(digit) {
  const found = DIGITS.indexOf(digit);
  if (found < 0) {
    throw new TypeError(WRONG);
  }
  return found;
}
