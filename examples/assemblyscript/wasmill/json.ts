import { Parser } from "./json-parser";

/** What a JSON value is. */
export enum Kind {
  Nothing,
  Null,
  Bool,
  Number,
  Text,
  List,
  Object,
}

// Most values are no lists: they share these, which stay empty.
const NO_ITEMS: Json[] = [];
const NO_NAMES: string[] = [];

/**
 * A JSON value. The language has no exceptions, so a fault is kept: ask for all fields that are needed, then look at `fault`
 * once. It is null, or tells the first thing that was wrong.
 */
export class Json {
  kind: Kind = Kind.Nothing;
  fault: string | null = null;
  /** The value of `true`, a number's value, a text. */
  bool: bool = false;
  num: f64 = 0;
  str: string = "";
  /** The values of a list, or of an object's fields. */
  items: Json[] = NO_ITEMS;
  /** The names of an object's fields. */
  names: string[] = NO_NAMES;

  /** Reads JSON text. */
  static parse(text: string): Json {
    return new Parser(text).document();
  }

  /** A value with a fault. */
  static faulty(fault: string): Json {
    const value = new Json();
    value.fault = fault;
    return value;
  }

  static ofKind(kind: Kind): Json {
    const value = new Json();
    value.kind = kind;
    if (kind >= Kind.List) value.items = [];
    if (kind == Kind.Object) value.names = [];
    return value;
  }

  static ofText(text: string): Json {
    const value = Json.ofKind(Kind.Text);
    value.str = text;
    return value;
  }

  static ofNumber(number: f64): Json {
    const value = Json.ofKind(Kind.Number);
    value.num = number;
    return value;
  }

  static ofBool(truth: bool): Json {
    const value = Json.ofKind(Kind.Bool);
    value.bool = truth;
    return value;
  }

  static ofList(items: Json[]): Json {
    const value = Json.ofKind(Kind.List);
    value.items = items;
    return value;
  }

  static ofTexts(texts: string[]): Json {
    const value = Json.ofKind(Kind.List);
    for (let i = 0; i < texts.length; i++) value.items.push(Json.ofText(texts[i]));
    return value;
  }

  /** An object without fields; add them with `set`. */
  static object(): Json {
    return Json.ofKind(Kind.Object);
  }

  /** Adds a field to an object that does not have it. */
  set(name: string, value: Json): Json {
    this.names.push(name);
    this.items.push(value);
    return this;
  }

  /** A field, or a value of kind `Nothing`. Of two with one name it is the last. */
  get(name: string): Json {
    for (let i = this.names.length - 1; i >= 0; i--) {
      if (this.names[i] == name) return this.items[i];
    }
    return new Json();
  }

  /** The text in a field that must be there. */
  text(name: string): string {
    return this.need(name, Kind.Text, "a text").str;
  }

  /** The number in a field that must be there. */
  number(name: string): f64 {
    return this.need(name, Kind.Number, "a number").num;
  }

  /** The texts in a field that must be there. */
  texts(name: string): string[] {
    const list = this.need(name, Kind.List, "a list").items;
    const texts: string[] = [];
    for (let i = 0; i < list.length; i++) {
      if (list[i].kind != Kind.Text) this.note(`item ${i} of field \`${name}\` is not a text`);
      texts.push(list[i].str);
    }
    return texts;
  }

  /** The value as JSON text. */
  toString(): string {
    const parts: string[] = [];
    write(this, parts);
    return parts.join("");
  }

  private need(name: string, kind: Kind, what: string): Json {
    if (this.fault === null && this.kind != Kind.Object) this.note("the data is not a JSON object");
    const found = this.get(name);
    if (found.kind == Kind.Nothing) this.note(`missing field \`${name}\``);
    else if (found.kind != kind) this.note(`field \`${name}\` is not ${what}`);
    return found;
  }

  private note(fault: string): void {
    if (this.fault === null) this.fault = fault;
  }
}

function write(value: Json, parts: string[]): void {
  switch (value.kind) {
    case Kind.Bool:
      parts.push(value.bool ? "true" : "false");
      return;
    case Kind.Number:
      parts.push(numeral(value.num));
      return;
    case Kind.Text:
      quote(value.str, parts);
      return;
    case Kind.List:
    case Kind.Object: {
      const named = value.kind == Kind.Object;
      parts.push(named ? "{" : "[");
      for (let i = 0; i < value.items.length; i++) {
        if (i > 0) parts.push(",");
        if (named) {
          quote(value.names[i], parts);
          parts.push(":");
        }
        write(value.items[i], parts);
      }
      parts.push(named ? "}" : "]");
      return;
    }
    default:
      parts.push("null");
  }
}

/** The language writes whole numbers with a decimal point, and JSON has no infinity. */
function numeral(value: f64): string {
  if (!isFinite(value)) return "null";
  const text = value.toString();
  return text.endsWith(".0") ? text.substring(0, text.length - 2) : text;
}

function quote(text: string, parts: string[]): void {
  parts.push('"');
  let from = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 0x20 && code != 0x22 && code != 0x5c) continue;
    parts.push(text.substring(from, i));
    parts.push(code < 0x20 ? "\\u" + code.toString(16).padStart(4, "0") : "\\" + text.charAt(i));
    from = i + 1;
  }
  parts.push(text.substring(from));
  parts.push('"');
}
