"""Read-only reference data: tables that the manifest grants by name, under ``[lookup]``."""

from typing import Any, Optional

from . import _codec
from ._failure import Retry
from ._host import host


def get(table: str, key: str) -> Optional[bytes]:
    """One row of a table; None if it has no such row.

    Raises Refused if the manifest grants no such table, or if it is not loaded yet.
    """
    return host.lookup_get(_codec.name("a lookup table's name", table), _codec.name("a lookup's key", key))


def contains(table: str, key: str) -> bool:
    """Whether a table has this row.

    Raises Refused as ``get`` does.
    """
    return get(table, key) is not None


def json(table: str, key: str, default: Any = None) -> Any:
    """One row read as JSON; ``default`` if the table has no such row.

    Raises Retry if the row is not JSON, since it can be corrected, and Refused as ``get`` does.
    """
    row = get(table, key)
    if row is None:
        return default
    try:
        return _codec.decode(row)
    except _codec.Unreadable as err:
        raise Retry(f"row `{key}` of lookup table `{table}` {err}") from None
