"""Why a handler does not finish an event."""

from __future__ import annotations

from typing import Optional


class Failure(Exception):
    """Ends the handling of an event or a timer; raise ``Retry`` or ``Reject``."""

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


class Refused(Failure):
    """The engine refuses an access to state, timers or lookup tables.

    A handler that lets it pass asks for a retry where the manifest has to be corrected or a table is not loaded yet; where a
    limit is reached or a name makes no sense, it rejects the event.
    """

    kind: str
    """``no-key``, ``bad-name``, ``too-large`` (state), ``too-many`` (timers), ``not-granted`` or ``not-ready`` (lookup)."""
    limit: Optional[int]
    """The limit that would be passed: bytes of the key's record for ``too-large``, timers of the key for ``too-many``."""

    def __init__(self, kind: str, limit: Optional[int] = None, name: str = "") -> None:
        shown = name if len(name) <= _SHOWN else name[:_SHOWN] + "…"
        super().__init__(_REFUSALS[kind].format(limit=limit, name=shown, length=len(name.encode("utf-8", "replace"))))
        self.kind = kind
        self.limit = limit

    @property
    def may_pass(self) -> bool:
        """Whether the same access may be granted later."""
        return self.kind in _MAY_PASS


_SHOWN = 80
_MAY_PASS = ("no-key", "not-granted", "not-ready")
_REFUSALS = {
    "no-key": "the plugin has no key, so it has no state and no timers; set `key` in the plugin's manifest",
    "bad-name": "the name of a field or timer has 1 to 256 bytes, not {length}",
    "too-large": "with state field `{name}` the key's record would pass its limit of {limit} bytes; raise `record_kib` in the "
    "[state] table of the plugin's manifest, or keep less",
    "too-many": "timer `{name}` is one more than the {limit} that a key may have; raise `timers` in the [state] table of the "
    "plugin's manifest, or set fewer",
    "not-granted": "lookup table `{name}` is not granted; name its KV bucket in the [lookup] table of the plugin's manifest",
    "not-ready": "lookup table `{name}` is not loaded yet",
}
