"""Timers of the current key.

A timer is set by name and fires once: the engine hands it to the plugin's function ``on_timer(timer)``, at its time on the
plugin clock or as soon after as an engine runs. Setting and cancelling take effect together with the outputs of the call.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Union

from . import _codec, clock
from ._failure import Reject
from ._host import host

_MS = 1_000_000
_US = 1_000


class Timer:
    """A timer that has come due: what ``on_timer`` receives."""

    __slots__ = ("data", "due_ns", "key", "name")

    name: str
    """The name under which the plugin set it."""
    key: str
    """The key it was set for."""
    due_ns: int
    """When it was due, nanoseconds since the Unix epoch."""
    data: bytes
    """What the plugin stored with it."""

    # The engine's side makes timers by position, in the order of the contract.
    def __init__(self, name: str, key: str, due_ns: int, data: bytes = b"") -> None:
        self.name = name
        self.key = key
        self.due_ns = due_ns
        self.data = data

    def text(self) -> str:
        """What was stored with it as text.

        Raises Reject if it is not UTF-8.
        """
        try:
            return _codec.text(self.data)
        except _codec.Unreadable as err:
            raise Reject(f"the data of timer `{self.name}` {err}") from None

    def json(self) -> Any:
        """What was stored with it, read as JSON.

        Raises Reject if it is not JSON.
        """
        try:
            return _codec.decode(self.data)
        except _codec.Unreadable as err:
            raise Reject(f"the data of timer `{self.name}` {err}") from None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Timer):
            return NotImplemented
        return (self.name, self.key, self.due_ns, self.data) == (other.name, other.key, other.due_ns, other.data)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Timer({self.name!r}, {self.key!r}, {self.due_ns}, {self.data!r})"


def set(name: str, due_ns: int, data: _codec.Data = b"") -> None:
    """Sets a timer, in place of one of the same name. It fires at ``due_ns``, nanoseconds since the Unix epoch.

    Raises Refused if the plugin has no key, if the key has as many timers as it may have, or for a name that is empty or over
    256 bytes; RuntimeError if the plugin has no ``on_timer``.
    """
    if not host.has_on_timer:
        raise RuntimeError(
            f"timer {name!r} would come due and nobody would handle it\nhint: write `def on_timer(timer): ...` at the top level"
        )
    name = _codec.name("a timer's name", name)
    due_ns = int(due_ns)
    if not 0 <= due_ns < 1 << 64:
        raise ValueError(f"timer {name!r}: {due_ns} is no number of nanoseconds since the Unix epoch")
    host.timer_set(name, due_ns, _codec.payload("a timer", data, "json.dumps"))


def after(name: str, wait_ms: Union[float, timedelta], data: _codec.Data = b"") -> None:
    """Sets a timer, in place of one of the same name, that fires so many milliseconds from now on the plugin clock.

    In ``handle`` that is the event's own time, so an event that comes late sets it earlier than the one before did.

    Raises as ``set`` does, and ValueError for a wait that is negative.
    """
    wait_ns = nanoseconds(wait_ms)
    if wait_ns < 0:
        raise ValueError(f"timer {name!r}: a wait of {wait_ms} is in the past")
    # Later than the clock can tell is as late as it can tell.
    set(name, min(clock.now() + wait_ns, (1 << 64) - 1), data)


def nanoseconds(wait_ms: Union[float, timedelta]) -> int:
    """A time given in milliseconds or as a timedelta."""
    if isinstance(wait_ms, timedelta):
        return wait_ms // timedelta(microseconds=1) * _US
    return wait_ms * _MS if isinstance(wait_ms, int) else round(wait_ms * _MS)


def cancel(name: str) -> None:
    """Removes a timer; one that is not set is no error.

    Raises Refused if the plugin has no key, or for a name that is empty or over 256 bytes.
    """
    host.timer_cancel(_codec.name("a timer's name", name))


def move_to(name: str, before: "int | None", due_ns: "int | None") -> None:
    """Sets a timer that was due ``before`` for another time, or cancels it; None is no time."""
    if due_ns == before:
        return
    if due_ns is None:
        cancel(name)
    else:
        set(name, due_ns)
