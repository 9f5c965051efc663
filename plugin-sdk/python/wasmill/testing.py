"""The engine in native unit tests.

::

    from wasmill.testing import Test

    test = Test(handle, config={"limit": 100})
    [alert] = test.send({"id": "p1", "amount": 101})
    assert alert.subject == "alerts.large"

One engine serves at a time: a new ``Test`` takes the place of the one before.
"""

from __future__ import annotations

import hashlib
import json as _json
from typing import Any, Callable, Mapping, NamedTuple, Optional, Union

from ._answer import answer
from ._event import Event
from ._host import host
from ._output import Headers, Output, _pairs

DEFAULT_NOW_NS = 1_767_225_600_000_000_000
"""The time of a test that sets none: 2026-01-01T00:00:00Z."""

_LEVELS = ("trace", "debug", "info", "warn", "error")


class Line(NamedTuple):
    """One line that was logged."""

    level: str
    """``trace``, ``debug``, ``info``, ``warn`` or ``error``."""
    message: str
    """Its text."""
    fields: dict[str, str]
    """Its named values."""


def event(
    data: Any = None,
    *,
    subject: str = "test.subject",
    headers: Headers = None,
    key: Optional[str] = None,
    attempt: int = 1,
    id: str = "test-1",
    source: str = "nats:TEST",
    type: str = "nats.message",
    time_ns: int = DEFAULT_NOW_NS,
    reply_to: Optional[str] = None,
) -> Event:
    """An event as a handler receives it: bytes are its payload as they are, anything else becomes JSON."""
    payload = data if isinstance(data, bytes) else _json.dumps(data).encode()
    pairs = _pairs(headers) if headers else []
    return Event(id, source, type, subject, time_ns, key, pairs, payload, attempt, reply_to)


class Test:
    """An engine that runs one handler."""

    __test__ = False  # Not itself a test, whatever its name looks like to a test runner.

    lines: list[Line]
    """The lines logged so far."""
    now_ns: int
    """The plugin clock, nanoseconds since the Unix epoch."""

    def __init__(
        self,
        handle: Optional[Callable[[Event], Any]] = None,
        *,
        config: Optional[Mapping[str, Any]] = None,
        now_ns: int = DEFAULT_NOW_NS,
        seed: int = 0,
    ) -> None:
        """An engine with this ``[config]`` table, time and seed of the random numbers, and no lines."""
        self.lines = []
        self.now_ns = now_ns
        self._handle = handle
        self._config = dict(config or {})
        self._stream = _stream(seed)
        host.log = self._log
        host.now = lambda: self.now_ns
        host.config_get = self._config_get
        host.config_json = lambda: _json.dumps(self._config)
        host.random_next = lambda: int.from_bytes(self._random(8), "big")
        host.random_bytes = self._random
        host.table = None

    def send(self, data: Union[Event, Any] = None, **attributes: Any) -> list[Output]:
        """Hands the handler an event: an ``Event``, or a payload and attributes as ``event`` takes them.

        Raises what the handler raises, ``Retry`` and ``Reject`` among it.
        """
        if self._handle is None:
            raise TypeError("this Test has no handler to send events to; make it with Test(handle)")
        return answer(self._handle, data if isinstance(data, Event) else event(data, **attributes))

    def _log(self, level: int, message: str, fields: list[tuple[str, str]]) -> None:
        self.lines.append(Line(_LEVELS[level], message, dict(fields)))

    def _config_get(self, key: str) -> Optional[str]:
        if key not in self._config:
            return None
        value = self._config[key]
        return value if isinstance(value, str) else _json.dumps(value)

    def _random(self, length: int) -> bytes:
        drawn = b""
        while len(drawn) < length:
            drawn += next(self._stream)
        return drawn[:length]


def _stream(seed: int) -> Any:
    block = 0
    while True:
        yield hashlib.sha256(f"{seed}:{block}".encode()).digest()
        block += 1
