"""The plugin clock."""

from ._host import host


def now() -> int:
    """The time of the event being handled, nanoseconds since the Unix epoch. It stands still during a call."""
    return host.now()
