"""Bytes, text and JSON: what crosses the border to the engine, and what is kept in state."""

from __future__ import annotations

import json as _json
from typing import Any, NoReturn, Union

DEEPEST = 500
"""Levels of nesting that JSON may have. Reading it takes a call for each, and in a component too many of them are a trap."""

Data = Union[bytes, bytearray, memoryview, str]
"""Bytes, or text as UTF-8."""

_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


class Unreadable(ValueError):
    """Bytes are not what they should be; the text continues a sentence that begins with what they are of."""


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_decoder = _json.JSONDecoder(parse_constant=_constant)
_scan: Any = _decoder.scan_once  # type: ignore[attr-defined]
_encoder = _json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_make_encoder: Any = getattr(_json.encoder, "c_make_encoder", None)
_quoted = _json.encoder.encode_basestring


def text(data: bytes) -> str:
    """The bytes as text.

    Raises Unreadable if they are not UTF-8, with the place.
    """
    try:
        return data.decode()
    except UnicodeDecodeError as err:
        raise Unreadable(f"is not UTF-8: byte {err.start} of {len(data)}: {err.reason}") from None


def decode(data: bytes) -> Any:
    """The bytes read as JSON.

    Raises Unreadable if they are not JSON, with what is wrong and where.
    """
    told = text(data)
    if _too_deep(data):
        raise Unreadable(f"is not read as JSON: it is nested more than {DEEPEST} levels deep")
    try:
        value, end = _scan(told, 0)
    except (ValueError, StopIteration):
        end = -1
    # What is not the value alone takes the slow road: white space around it, or what is wrong with it.
    return value if end == len(told) else _decode(told)


def _decode(told: str) -> Any:
    try:
        return _decoder.decode(told)
    except _json.JSONDecodeError as err:
        problem = f"{err.msg} at line {err.lineno} column {err.colno}"
    except ValueError as err:
        problem = str(err)
    raise Unreadable(f"is not JSON: {problem}")


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


def encode(value: Any) -> bytes:
    """A value as JSON, without spaces.

    Raises TypeError or ValueError if it has no JSON form, such as a set or a NaN.
    """
    if _make_encoder is None:
        return _encoder.encode(value).encode()
    # What `_encoder.encode` does, without making closures first: that takes longer than writing a small value.
    return "".join(_make_encoder({}, _encoder.default, _quoted, None, ":", ",", False, False, False)(value, 0)).encode()


def payload(what: str, data: object, other: str) -> bytes:
    """Bytes, or text as UTF-8.

    Raises TypeError for anything else; ``other`` takes that.
    """
    if data.__class__ is bytes:
        return data  # type: ignore[return-value]
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    raise TypeError(f"{what} takes bytes or str as data, not {type(data).__name__}; use {other} for a value")


def name(what: str, given: object) -> str:
    """A name that can cross the border to the engine.

    Raises TypeError if it is not str, and ValueError if it is no Unicode text.
    """
    if not isinstance(given, str):
        raise TypeError(f"{what} is {type(given).__name__}, not str")
    if not given.isascii():
        try:
            given.encode()
        except UnicodeEncodeError as err:
            raise ValueError(f"{what} is no Unicode text: {err.reason}") from None
    return given
