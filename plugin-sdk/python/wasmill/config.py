"""The ``[config]`` table of the manifest."""

import json as _json
from typing import Any, Optional

from ._event import Kind, checked
from ._failure import Reject, Retry
from ._host import host

_UNSET: Any = object()
_HINT = "correct the [config] table of the plugin's manifest"


def load() -> "dict[str, Any]":
    """The whole table. It does not change while the plugin runs, and every call gives the same dict: leave it as it is."""
    table = host.table
    if table is None:
        table = host.table = _json.loads(host.config_json())
    return table


def get(key: str, default: Any = None) -> Any:
    """One value, as the type it has in the manifest; ``default`` if the key is not set."""
    return load().get(key, default)


def need(key: str, kind: Kind = object) -> Any:
    """One value that must be set, and of this type: ``str``, ``bool``, ``int``, ``float`` (any number), ``list``, ``dict``.

    Raises Retry, naming the key, if it is not: the event is sound and can be handled once the manifest is corrected.
    """
    value = load().get(key, _UNSET)
    if value is _UNSET:
        raise Retry(f"config: missing `{key}`; {_HINT}")
    try:
        return checked(value, kind, key)
    except Reject as err:
        raise Retry(f"config: {err.reason}; {_HINT}") from None


def text(key: str) -> Optional[str]:
    """One value as text: a string as it is, anything else as JSON. None if the key is not set."""
    return host.config_get(key)
