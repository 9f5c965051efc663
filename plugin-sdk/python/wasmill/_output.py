"""What a handler emits."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Optional, Union

from . import _codec

Headers = Union[Mapping[str, str], Iterable[tuple[str, str]], None]
"""Names and values; a name may stand more than once in the form of pairs."""


class Output:
    """An event that a handler emits. The engine gives it its id, source and time."""

    __slots__ = ("data", "headers", "subject", "type")

    subject: str
    """Where to publish it: no wildcards, and within the emit grants of the manifest."""
    type: Optional[str]
    """CloudEvents ``type``; None means the type of the event that caused it."""
    headers: list[tuple[str, str]]
    """Further headers. ``Nats-*``, ``Wasmill-*`` and CloudEvents attributes are the engine's to set."""
    data: bytes
    """The payload."""

    def __init__(
        self,
        subject: str,
        data: _codec.Data = b"",
        *,
        type: Optional[str] = None,
        headers: Headers = None,
    ) -> None:
        """An output of these bytes, or of this text as UTF-8.

        Raises TypeError for any other payload; ``Output.json`` makes one of a value.
        """
        self.subject = subject
        self.type = type
        self.headers = _pairs(headers) if headers else []
        if data.__class__ is not bytes:
            data = _codec.payload("Output", data, "Output.json")
        self.data = data

    @classmethod
    def json(
        cls,
        subject: str,
        value: Any,
        *,
        type: Optional[str] = None,
        headers: Headers = None,
    ) -> Output:
        """An output of this value as JSON, with ``content-type: application/json``.

        Raises TypeError or ValueError if the value has no JSON form, such as a set or a NaN.
        """
        output = cls(subject, _codec.encode(value), type=type, headers=headers)
        output.headers.insert(0, ("content-type", "application/json"))
        return output

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Output):
            return NotImplemented
        return (self.subject, self.type, self.headers, self.data) == (
            other.subject,
            other.type,
            other.headers,
            other.data,
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Output({self.subject!r}, {self.data!r}, type={self.type!r}, headers={self.headers!r})"


def _pairs(headers: Any) -> list[tuple[str, str]]:
    items = headers.items() if hasattr(headers, "items") else headers
    return [(name, value) for name, value in items]


def check(name: str, outputs: list[Output]) -> None:
    """Raises TypeError or ValueError for what the plugin's function of this name gives and could not cross the border to the engine.

    Attributes can be set to anything after the output was made, and the border answers a wrong type with a trap.
    """
    for output in outputs:
        if output.__class__ is not Output and not isinstance(output, Output):
            raise TypeError(f"{name} gave {type(output).__name__} as an output; it takes Output, a list of them or None")
        _check_text(output, "subject", output.subject)
        if output.type is not None:
            _check_text(output, "type", output.type)
        if output.data.__class__ is not bytes:
            output.data = _codec.payload("Output", output.data, "Output.json")
        headers = output.headers
        if headers:
            if headers.__class__ is not list:
                output.headers = headers = _pairs(headers)
            for header, value in headers:
                _check_text(output, "a header's name", header)
                _check_text(output, f"header {header}", value)


def _check_text(output: Output, what: str, value: object) -> None:
    if not isinstance(value, str):
        raise TypeError(f"output to {output.subject!r}: {what} is {type(value).__name__}, not str")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as err:
            raise ValueError(f"output to {output.subject!r}: {what} is no Unicode text: {err.reason}") from None
