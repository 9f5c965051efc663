import { Json, Kind } from "./json";

/** Values inside values: deeper than any sensible document, and far from the end of the stack. */
const MAX_DEPTH: i32 = 128;

/** Reads one JSON document (RFC 8259). The first fault ends it. */
export class Parser {
  private at: i32 = 0;
  private depth: i32 = 0;
  private fault: string | null = null;

  constructor(private text: string) {}

  document(): Json {
    const value = this.value();
    this.space();
    if (this.fault === null && this.at < this.text.length) this.fail("the document has ended, and there is more");
    const fault = this.fault;
    return fault === null ? value : Json.faulty(fault);
  }

  private value(): Json {
    this.space();
    const code = this.peek();
    if (code == 0x7b || code == 0x5b) {
      if (++this.depth > MAX_DEPTH) return this.fail("the document is nested too deeply");
      const value = code == 0x7b ? this.object() : this.list();
      this.depth--;
      return value;
    }
    if (code == 0x22) return Json.ofText(this.string());
    if (code == 0x2d || isDigit(code)) return this.number();
    if (this.word("true")) return Json.ofBool(true);
    if (this.word("false")) return Json.ofBool(false);
    if (this.word("null")) return Json.ofKind(Kind.Null);
    return this.fail("a value is missing");
  }

  private object(): Json {
    const object = Json.object();
    this.at++;
    this.space();
    if (this.take(0x7d)) return object;
    do {
      this.space();
      if (this.peek() != 0x22) return this.fail("a field's name in quotes is missing");
      const name = this.string();
      this.space();
      if (!this.take(0x3a)) return this.fail("a colon is missing");
      object.set(name, this.value());
      this.space();
    } while (this.fault === null && this.take(0x2c));
    if (!this.take(0x7d)) return this.fail("a comma or the object's end is missing");
    return object;
  }

  private list(): Json {
    const list = Json.ofKind(Kind.List);
    this.at++;
    this.space();
    if (this.take(0x5d)) return list;
    do {
      list.items.push(this.value());
      this.space();
    } while (this.fault === null && this.take(0x2c));
    if (!this.take(0x5d)) return this.fail("a comma or the list's end is missing");
    return list;
  }

  private number(): Json {
    const from = this.at;
    this.take(0x2d);
    if (!this.take(0x30) && !this.digits()) return this.fail("a digit is missing");
    if (this.take(0x2e) && !this.digits()) return this.fail("a digit is missing");
    if (this.take(0x65) || this.take(0x45)) {
      if (!this.take(0x2b)) this.take(0x2d);
      if (!this.digits()) return this.fail("a digit is missing");
    }
    return Json.ofNumber(parseFloat(this.text.substring(from, this.at)));
  }

  private string(): string {
    let from = ++this.at;
    let before: string[] | null = null;
    while (true) {
      const code = this.peek();
      if (code == 0x22) {
        const last = this.text.substring(from, this.at++);
        if (before === null) return last;
        before.push(last);
        return before.join("");
      }
      if (code == 0x5c) {
        if (before === null) before = [];
        before.push(this.text.substring(from, this.at++));
        before.push(this.escape());
        from = this.at;
      } else if (code < 0x20) {
        this.fail(code < 0 ? "the text has no end" : "a control character stands in a text");
      } else {
        this.at++;
      }
      if (this.fault !== null) return "";
    }
  }

  private escape(): string {
    const code = this.peek();
    const index = '"\\/bfnrt'.indexOf(this.at < this.text.length ? this.text.charAt(this.at) : "u");
    if (index >= 0) {
      this.at++;
      return '"\\/\b\f\n\r\t'.charAt(index);
    }
    const digits = this.text.substring(this.at + 1, this.at + 5);
    if (code != 0x75 || digits.length < 4 || !isHex(digits)) {
      this.fail("an escape is not one of JSON");
      return "";
    }
    this.at += 5;
    return String.fromCharCode(i32(parseInt(digits, 16)));
  }

  private digits(): bool {
    const from = this.at;
    while (isDigit(this.peek())) this.at++;
    return this.at > from;
  }

  private word(word: string): bool {
    if (this.text.substr(this.at, word.length) != word) return false;
    this.at += word.length;
    return true;
  }

  private space(): void {
    while (true) {
      const code = this.peek();
      if (code != 0x20 && code != 0x0a && code != 0x0d && code != 0x09) return;
      this.at++;
    }
  }

  private take(code: i32): bool {
    if (this.peek() != code) return false;
    this.at++;
    return true;
  }

  /** The next code unit, or -1 at the end. */
  private peek(): i32 {
    return this.at < this.text.length ? this.text.charCodeAt(this.at) : -1;
  }

  private fail(what: string): Json {
    if (this.fault === null) {
      const before = this.text.substring(0, this.at);
      const line = before.split("\n").length;
      const column = this.at - before.lastIndexOf("\n");
      this.fault = `the data is no JSON: ${what} at line ${line}, column ${column}`;
    }
    return new Json();
  }
}

function isDigit(code: i32): bool {
  return code >= 0x30 && code <= 0x39;
}

function isHex(text: string): bool {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i) | 0x20;
    if (!isDigit(text.charCodeAt(i)) && (code < 0x61 || code > 0x66)) return false;
  }
  return true;
}
