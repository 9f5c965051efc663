"""What a handler receives."""

from __future__ import annotations

from typing import Any, Optional, Union

from . import _codec
from ._failure import Reject

Kind = Union[type, "tuple[type, ...]"]
"""A type that a value must have, or several."""

_UNSET: Any = object()


class Event:
    """One message on the bus with its CloudEvents attributes."""

    __slots__ = (
        "_json",
        "attempt",
        "data",
        "headers",
        "id",
        "key",
        "reply_to",
        "source",
        "subject",
        "time_ns",
        "type",
    )

    id: str
    """Identifies the event within its source."""
    source: str
    """CloudEvents ``source``, else ``nats:`` and the stream or subject the message came from."""
    type: str
    """CloudEvents ``type``, else ``nats.message``."""
    subject: str
    """The subject the message was published to."""
    time_ns: int
    """When it happened, nanoseconds since the Unix epoch."""
    key: Optional[str]
    """The event's key, where the manifest names one."""
    headers: list[tuple[str, str]]
    """All headers that are not attributes above, in order; a name may stand more than once."""
    data: bytes
    """The payload, untouched."""
    attempt: int
    """Which delivery this is, from 1."""
    reply_to: Optional[str]
    """Where the publisher waits for an answer, if it does."""

    # The engine's side makes events by position, in the order of the contract.
    def __init__(
        self,
        id: str,
        source: str,
        type: str,
        subject: str,
        time_ns: int,
        key: Optional[str],
        headers: list[tuple[str, str]],
        data: bytes,
        attempt: int,
        reply_to: Optional[str],
    ) -> None:
        self.id = id
        self.source = source
        self.type = type
        self.subject = subject
        self.time_ns = time_ns
        self.key = key
        self.headers = headers
        self.data = data
        self.attempt = attempt
        self.reply_to = reply_to
        self._json = _UNSET

    def header(self, name: str) -> Optional[str]:
        """The first value of a header; names compare without regard to case."""
        name = name.lower()
        for found, value in self.headers:
            if found.lower() == name:
                return value
        return None

    def header_values(self, name: str) -> list[str]:
        """All values of a header in order; names compare without regard to case."""
        name = name.lower()
        return [value for found, value in self.headers if found.lower() == name]

    def text(self) -> str:
        """The payload as text.

        Raises Reject if it is not UTF-8, with the place.
        """
        try:
            return _codec.text(self.data)
        except _codec.Unreadable as err:
            raise Reject(f"the payload {err}") from None

    def json(self) -> Any:
        """The payload read as JSON, once: later calls give the same value.

        Raises Reject if it is not JSON, with what is wrong and where.
        """
        if self._json is _UNSET:
            try:
                self._json = _codec.decode(self.data)
            except _codec.Unreadable as err:
                raise Reject(f"the payload {err}") from None
        return self._json

    def field(self, path: str, kind: Kind = object, default: Any = _UNSET) -> Any:
        """One field of the JSON payload; ``path`` goes into nested objects: ``"card.country"``.

        ``kind`` is the type it must have: ``str``, ``bool``, ``int``, ``float`` (any number), ``list``, ``dict``.

        Raises Reject if the field is missing and there is no default, or is of another kind.
        """
        value = self.json()
        for name in path.split("."):
            if value.__class__ is not dict:
                raise Reject(f"cannot read field `{path}`: expected an object that holds `{name}`, found {_name(value)}")
            value = value.get(name, _UNSET)
            if value is _UNSET:
                if default is _UNSET:
                    raise Reject(f"missing field `{path}`")
                return default
        return checked(value, kind, path)

    def __repr__(self) -> str:
        return f"Event(id={self.id!r}, subject={self.subject!r}, data={self.data[:80]!r})"


def checked(value: Any, kind: Kind, path: str) -> Any:
    """The value, if it is of this kind.

    Raises Reject, with the path, if it is not.
    """
    kinds = kind if isinstance(kind, tuple) else (kind,)
    for one in kinds:
        if value.__class__ is one or one is object or (one is float and value.__class__ is int):
            return value
    expected = " or ".join(_called(one) for one in kinds)
    raise Reject(f"field `{path}`: expected {expected}, found {_name(value)}")


_KINDS: dict[type, str] = {
    str: "a string",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


def _called(kind: type) -> str:
    return _KINDS.get(kind, kind.__name__)


def _name(value: object) -> str:
    return _called(type(value))
