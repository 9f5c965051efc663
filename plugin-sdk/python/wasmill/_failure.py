"""Why a handler does not finish an event."""

from __future__ import annotations

from typing import Optional


class Failure(Exception):
    """Ends the handling of an event; raise ``Retry`` or ``Reject``."""

    reason: str
    """Why, for people."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason if isinstance(reason, str) else str(reason)


class Retry(Failure):
    """It may work later: the event is delivered again."""

    after_ms: Optional[int]
    """The wait before the next delivery in milliseconds; None means the backoff of the manifest. The engine holds it
    within the manifest's bounds."""

    def __init__(self, reason: str, after_ms: Optional[float] = None) -> None:
        super().__init__(reason)
        if after_ms is not None:
            after_ms = int(after_ms)
            if not 0 <= after_ms < 1 << 64:
                raise ValueError(f"Retry: after_ms is {after_ms}, not a number of milliseconds from now")
        self.after_ms = after_ms


class Reject(Failure):
    """It will never work: the event becomes a dead letter with this reason."""
