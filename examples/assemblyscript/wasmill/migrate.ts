import { Area } from "./abi";

/** What became of a field that an older version wrote. */
export class Migrated {
  private value: Uint8Array | null = null;
  private error: string | null = null;

  /** The field now holds this. */
  static to(value: Uint8Array): Migrated {
    const made = new Migrated();
    made.value = value;
    return made;
  }

  /** The field is not needed any more. */
  static away(): Migrated {
    return new Migrated();
  }

  /** It cannot be brought into its present shape: the old version stays in service. */
  static failed(why: string): Migrated {
    const made = new Migrated();
    made.error = why;
    return made;
  }

  /** Writes a `result<option<list<u8>>, string>`. */
  write(to: usize, area: Area): void {
    const value = this.value;
    const error = this.error;
    if (error !== null) {
      store<u8>(to, 1);
      area.text(to + 4, error);
    } else if (value !== null) {
      store<u8>(to + 4, 1);
      area.bytes(to + 8, value);
    }
  }
}

function kept(_from: string, _name: string, value: Uint8Array): Migrated {
  return Migrated.to(value);
}

export let migration: (from: string, name: string, value: Uint8Array) => Migrated = kept;

/**
 * Makes a function what brings fields that an older version wrote into their present shape. To be called once, at the top level
 * of the entry file, which then also says `export * from "./wasmill/migrate-exports"`.
 */
export function onMigrate(migrate: (from: string, name: string, value: Uint8Array) => Migrated): void {
  migration = migrate;
}
