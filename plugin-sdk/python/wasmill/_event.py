"""What a handler receives."""

from __future__ import annotations

import json as _json
from typing import Any, NoReturn, Optional, Union

from ._failure import Reject

DEEPEST = 500
"""Levels of nesting that JSON may have. Reading it takes a call for each, and in a component too many of them are a trap."""

Kind = Union[type, "tuple[type, ...]"]
"""A type that a value must have, or several."""

_UNSET: Any = object()
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_decoder = _json.JSONDecoder(parse_constant=_constant)
_scan: Any = _decoder.scan_once  # type: ignore[attr-defined]


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
            return self.data.decode()
        except UnicodeDecodeError as err:
            raise Reject(f"the payload is not UTF-8: byte {err.start} of {len(self.data)}: {err.reason}") from None

    def json(self) -> Any:
        """The payload read as JSON, once: later calls give the same value.

        Raises Reject if it is not JSON, with what is wrong and where.
        """
        if self._json is _UNSET:
            text = self.text()
            if _too_deep(self.data):
                raise Reject(f"the payload is not read as JSON: it is nested more than {DEEPEST} levels deep")
            try:
                value, end = _scan(text, 0)
            except (ValueError, StopIteration):
                end = -1
            # What is not the value alone takes the slow road: white space around it, or what is wrong with it.
            self._json = value if end == len(text) else _decode(text)
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


def _decode(text: str) -> Any:
    try:
        return _decoder.decode(text)
    except _json.JSONDecodeError as err:
        problem = f"{err.msg} at line {err.lineno} column {err.colno}"
    except ValueError as err:
        problem = str(err)
    raise Reject(f"the payload is not JSON: {problem}")


def _too_deep(data: bytes) -> bool:
    """Whether JSON is nested too deep, told without reading it: pairs of brackets are taken out from the inside."""
    if data.count(b"[") + data.count(b"{") <= DEEPEST:
        return False
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    outside_strings = b"".join(data.split(b'"')[::2])
    brackets = outside_strings.translate(_BRACKETS, _NO_BRACKETS)
    for _ in range(DEEPEST):
        left = brackets.replace(b"[]", b"")
        if not left:
            return False
        if len(left) == len(brackets):
            return len(left) > DEEPEST  # They do not match; reading says where.
        brackets = left
    return True


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
