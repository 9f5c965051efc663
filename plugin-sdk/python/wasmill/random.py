"""Randomness seeded by the event: another delivery of the same event draws the same numbers."""

import builtins

from ._host import host

_CHUNK = 65_536
"""The most that the engine gives at a time."""


def next() -> int:
    """The next 64 random bits."""
    return host.random_next()


def bytes(length: int) -> "builtins.bytes":
    """The next ``length`` random bytes."""
    if length <= _CHUNK:
        return host.random_bytes(length)
    return b"".join(host.random_bytes(min(_CHUNK, length - start)) for start in range(0, length, _CHUNK))
