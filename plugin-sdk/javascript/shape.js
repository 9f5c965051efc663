// Whether a value is of the kind that the author asked for, and what to say if not.

/** A field of nested objects: `path` is names with points between. Throws TypeError if it is missing or of another kind. */
export function field(root, path, kind, fallback) {
  let value = root;
  for (const name of path.split(".")) {
    if (kindOf(value) !== "object") {
      throw new TypeError(`cannot read field \`${path}\`: expected an object that holds \`${name}\`, found ${spoken(value)}`);
    }
    if (!Object.hasOwn(value, name)) {
      if (fallback === undefined) {
        throw new TypeError(`missing field \`${path}\``);
      }
      return fallback;
    }
    value = value[name];
  }
  return kind === undefined ? value : checked(value, kind, `field \`${path}\``);
}

/** The value, if it is of this kind. Throws TypeError, naming what it was to be, if it is not. */
export function checked(value, kind, what) {
  if (kind in SPOKEN) {
    if (kindOf(value) === kind || (kind === "integer" && Number.isInteger(value))) {
      return value;
    }
    throw new TypeError(`${what}: expected ${SPOKEN[kind]}, found ${spoken(value)}`);
  }
  throw new RangeError(`there is no kind "${kind}": write one of ${Object.keys(SPOKEN).join(", ")}`);
}

const SPOKEN = {
  string: "a string",
  number: "a number",
  integer: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
};

function kindOf(value) {
  return value === null ? "null" : Array.isArray(value) ? "array" : typeof value;
}

function spoken(value) {
  return SPOKEN[kindOf(value)] ?? kindOf(value);
}
