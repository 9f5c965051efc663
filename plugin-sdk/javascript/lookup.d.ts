/**
 * Read-only reference data: tables that the manifest grants by name, under `[lookup]`.
 *
 * Every access throws {@link Refused} if the manifest grants no such table, or if it is not loaded yet.
 */

/** One row of a table; undefined if it has no such row. */
export function get(table: string, key: string): Uint8Array | undefined;
/** Whether a table has this row. */
export function contains(table: string, key: string): boolean;
/**
 * One row as text; `fallback` if the table has no such row.
 * @throws {Retry} if the row is not UTF-8, since it can be corrected.
 */
export function text(table: string, key: string): string | undefined;
export function text<F>(table: string, key: string, fallback: F): string | F;
/**
 * One row read as JSON; `fallback` if the table has no such row.
 * @throws {Retry} if the row is not JSON, since it can be corrected.
 */
export function json<T = any>(table: string, key: string, fallback?: T): T;
