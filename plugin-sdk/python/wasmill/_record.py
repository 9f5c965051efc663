"""What a test's engine stores for one key."""

from __future__ import annotations

from typing import NamedTuple, Optional

from ._failure import Refused

NAME_MAX_BYTES = 256
"""Of the name of a field or timer, as the contract has it."""


class Limits(NamedTuple):
    """How much a key may have."""

    record_bytes: int
    """Fields and timers, their names included."""
    timers: int
    """How many timers."""


class Setting(NamedTuple):
    """One timer that is set."""

    due_ns: int
    """When it fires."""
    number: int
    """Which setting of the key it is: of timers due at one time, the one set first fires first."""
    data: bytes
    """What is stored with it."""


class Record:
    """The fields and timers of one key."""

    __slots__ = ("fields", "settings", "timers")

    def __init__(self) -> None:
        self.fields: dict[str, bytes] = {}
        self.timers: dict[str, Setting] = {}
        self.settings = 0

    def copy(self) -> Record:
        """The record as it is now."""
        other = Record()
        other.fields, other.timers, other.settings = dict(self.fields), dict(self.timers), self.settings
        return other

    def size(self) -> int:
        """Bytes of fields and timers."""
        fields = sum(len(name.encode()) + len(value) for name, value in self.fields.items())
        return fields + sum(len(name.encode()) + len(timer.data) for name, timer in self.timers.items())

    def get(self, name: str) -> Optional[bytes]:
        """One field."""
        _check(name)
        return self.fields.get(name)

    def set(self, name: str, value: bytes, limits: Limits) -> None:
        """Sets one field."""
        _check(name)
        before = self.fields.get(name)
        self.fields[name] = value
        if self.size() > limits.record_bytes:
            if before is None:
                del self.fields[name]
            else:
                self.fields[name] = before
            raise Refused("too-large", limits.record_bytes, name)

    def delete(self, name: str) -> None:
        """Removes one field."""
        _check(name)
        self.fields.pop(name, None)

    def names(self, prefix: str) -> list[str]:
        """The names that begin with a prefix, in order of their bytes."""
        return sorted((name for name in self.fields if name.startswith(prefix)), key=str.encode)

    def set_timer(self, name: str, due_ns: int, data: bytes, limits: Limits) -> None:
        """Sets one timer."""
        _check(name)
        if name not in self.timers and len(self.timers) >= limits.timers:
            raise Refused("too-many", limits.timers, name)
        self.settings += 1
        self.timers[name] = Setting(due_ns, self.settings, data)

    def cancel(self, name: str) -> None:
        """Removes one timer."""
        _check(name)
        self.timers.pop(name, None)

    def in_order(self) -> list[tuple[str, Setting]]:
        """The timers as they will fire."""
        return sorted(self.timers.items(), key=lambda timer: timer[1])


def _check(name: str) -> None:
    if not 1 <= len(name.encode()) <= NAME_MAX_BYTES:
        raise Refused("bad-name", None, name)
