// How values lie in memory where engine and plugin meet: the component model's canonical ABI, for the few shapes that the
// contract has. Numbers in this file are offsets of fields in bytes.

/** Text that the engine wrote; its memory is given back. */
export function ownText(start: usize, length: u32): string {
  if (length == 0) return "";
  const text = String.UTF8.decodeUnsafe(start, length as usize);
  heap.free(start);
  return text;
}

/** Bytes that the engine wrote; their memory is given back. */
export function ownBytes(start: usize, length: u32): Uint8Array {
  const bytes = new Uint8Array(length);
  if (length > 0) {
    memory.copy(bytes.dataStart, start, length as usize);
    heap.free(start);
  }
  return bytes;
}

/** Reads text that the engine wrote, and gives its memory back. */
export function takeText(address: usize, at: usize): string {
  return ownText(load<u32>(address + at) as usize, load<u32>(address + at + 4));
}

/** Reads bytes that the engine wrote, and gives their memory back. */
export function takeBytes(address: usize, at: usize): Uint8Array {
  return ownBytes(load<u32>(address + at) as usize, load<u32>(address + at + 4));
}

/** Reads an `option<string>`. */
export function takeOption(address: usize, at: usize): string | null {
  return load<u8>(address + at) == 0 ? null : takeText(address, at + 4);
}

/** Text on its way to the engine. It lives as long as this object does. */
export class Utf8 {
  private buffer: ArrayBuffer;

  constructor(text: string) {
    // Half of a surrogate pair is no character, and the engine takes only text: it becomes U+FFFD.
    this.buffer = String.UTF8.encode(text, false, String.UTF8.ErrorMode.REPLACE);
  }

  get start(): usize {
    return changetype<usize>(this.buffer);
  }

  get length(): u32 {
    return this.buffer.byteLength as u32;
  }
}

/** Memory that an answer lies in until the engine has read it. */
export class Area {
  private blocks: usize[] = [];

  /** A block of zeros, or an address that is aligned but holds nothing if `size` is 0. */
  reserve(size: usize): usize {
    if (size == 0) return 8;
    const block = heap.alloc(size);
    memory.fill(block, 0, size);
    this.blocks.push(block);
    return block;
  }

  /** Writes a `string`. */
  text(to: usize, text: string): void {
    const coded = new Utf8(text);
    this.copy(to, coded.start, coded.length);
  }

  /** Writes a `list<u8>`. */
  bytes(to: usize, bytes: Uint8Array): void {
    this.copy(to, bytes.dataStart, bytes.length as u32);
  }

  /** Writes an `option<string>`. */
  option(to: usize, text: string | null): void {
    if (text === null) return;
    store<u8>(to, 1);
    this.text(to + 4, text);
  }

  /** Writes a `list<string>`. */
  texts(to: usize, texts: string[]): void {
    const items = this.list(to, texts.length, 8);
    for (let i = 0; i < texts.length; i++) this.text(items + ((i as usize) << 3), texts[i]);
  }

  /** Writes a list's address and length, and answers where its items go. */
  list(to: usize, count: i32, itemSize: usize): usize {
    const items = this.reserve((count as usize) * itemSize);
    store<u32>(to, items as u32);
    store<u32>(to + 4, count as u32);
    return items;
  }

  /** Gives all of it back. */
  free(): void {
    for (let i = 0; i < this.blocks.length; i++) heap.free(this.blocks[i]);
    this.blocks = [];
  }

  private copy(to: usize, start: usize, length: u32): void {
    const copy = this.reserve(length as usize);
    memory.copy(copy, start, length as usize);
    store<u32>(to, copy as u32);
    store<u32>(to + 4, length);
  }
}
