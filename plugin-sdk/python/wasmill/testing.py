"""The engine in native unit tests.

::

    from wasmill.testing import Test

    test = Test(handle, config={"limit": 100})
    [alert] = test.send({"id": "p1", "amount": 101})
    assert alert.subject == "alerts.large"

A plugin with a key is run by ``Keyed``, with its state, its timers and a clock that the test moves::

    engine = Keyed(handle, on_timer=on_timer)
    engine.send({"celsius": 21}, key="pump-1")
    [alarm] = engine.advance(timedelta(minutes=10))

One engine serves at a time: a new one takes the place of the one before.
"""

from __future__ import annotations

import hashlib
import json as _json
from datetime import timedelta
from typing import Any, Callable, Mapping, NamedTuple, NoReturn, Optional, Union

from . import _codec, timers
from ._answer import answer, migrated
from ._event import Event
from ._failure import Refused, Retry
from ._host import host
from ._output import Headers, Output, _pairs
from ._record import Limits, Record
from .timers import Timer

Tables = Mapping[str, Optional[Mapping[str, Any]]]
"""Lookup tables by name. Their rows are bytes or text as they are, anything else becomes JSON; a table of None is not loaded yet."""

FIRINGS_MAX = 100_000
"""The most timers that one call fires: one that sets itself again without moving on would never end."""
KEY_MAX_BYTES = 256
"""Of a key, as the manifest's `key` has it."""

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
        tables: Optional[Tables] = None,
    ) -> None:
        """An engine with this ``[config]`` table, time and seed of the random numbers, these lookup tables, and no lines."""
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
        self._tables = tables or {}
        host.lookup_get = self._lookup
        host.state_get = host.state_set = host.state_delete = host.state_names = _no_key
        host.timer_set = host.timer_cancel = _no_key
        host.table = None

    def send(self, data: Union[Event, Any] = None, **attributes: Any) -> list[Output]:
        """Hands the handler an event: an ``Event``, or a payload and attributes as ``event`` takes them.

        Raises what the handler raises, ``Retry`` and ``Reject`` among it.
        """
        if self._handle is None:
            raise TypeError("this Test has no handler to send events to; make it with Test(handle)")
        return answer(self._handle, data if isinstance(data, Event) else event(data, **attributes), "handle")

    def _log(self, level: int, message: str, fields: list[tuple[str, str]]) -> None:
        self.lines.append(Line(_LEVELS[level], message, dict(fields)))

    def _config_get(self, key: str) -> Optional[str]:
        if key not in self._config:
            return None
        value = self._config[key]
        return value if isinstance(value, str) else _json.dumps(value)

    def _lookup(self, table: str, key: str) -> Optional[bytes]:
        if table not in self._tables:
            raise Refused("not-granted", None, table)
        rows = self._tables[table]
        if rows is None:
            raise Refused("not-ready", None, table)
        return _stored(rows[key]) if key in rows else None

    def _random(self, length: int) -> bytes:
        drawn = b""
        while len(drawn) < length:
            drawn += next(self._stream)
        return drawn[:length]


def _no_key(*_: object) -> NoReturn:
    raise Refused("no-key")


def _stored(data: Any) -> bytes:
    return _codec.payload("a row", data, "") if isinstance(data, (str, bytes, bytearray, memoryview)) else _codec.encode(data)


def _stream(seed: int) -> Any:
    block = 0
    while True:
        yield hashlib.sha256(f"{seed}:{block}".encode()).digest()
        block += 1


class Keyed(Test):
    """An engine that runs a plugin with a key: state and timers for each key, effects that come true together or not at all.

    An event that happened later than the clock moves it on, one that happened earlier does not move it back, and
    ``advance`` is an idle time. Timers that are due by then fire first, of all keys, in order of their time, then key, then
    setting. During a call ``clock.now`` is the event's time, or the time the timer was due.

    Nothing is delivered again by itself: what a function raises comes out of the method that made it run, and has changed
    nothing. A timer that raises ``Retry`` stays set, one that fails otherwise is gone.

    After a call, the functions and typed values of ``state`` and ``timers`` work on its key, for a test to look at.
    """

    def __init__(
        self,
        handle: Callable[[Event], Any],
        *,
        on_timer: Optional[Callable[[Timer], Any]] = None,
        migrate: Optional[Callable[[str, str, bytes], Any]] = None,
        config: Optional[Mapping[str, Any]] = None,
        now_ns: int = DEFAULT_NOW_NS,
        seed: int = 0,
        tables: Optional[Tables] = None,
        record_kib: int = 256,
        timers: int = 1_000,
    ) -> None:
        """An engine that has stored nothing; ``record_kib`` and ``timers`` are the limits of a key."""
        super().__init__(handle, config=config, now_ns=now_ns, seed=seed, tables=tables)
        self._on_timer = on_timer
        self._migrate = migrate
        self._limits = Limits(record_kib * 1_024, timers)
        self._records: dict[str, Record] = {}
        self._stale: dict[str, str] = {}
        self._at: Optional[int] = None
        self._use(Record())
        host.now = lambda: self.now_ns if self._at is None else self._at

    def send(self, data: Union[Event, Any] = None, **attributes: Any) -> list[Output]:
        """Hands the handler an event, after the timers that are due by its time: all that they and it emit, in order.

        The event is an ``Event``, or a payload and attributes as ``event`` takes them; its time is the clock's if it is not
        said. Raises what a function raises, and ValueError for an event without a key.
        """
        if not isinstance(data, Event):
            data = event(data, **{"time_ns": self.now_ns, **attributes})
        key = data.key or ""
        if not 1 <= len(key.encode()) <= KEY_MAX_BYTES:
            raise ValueError('an event of a plugin with a key has one of 1 to 256 bytes; send(..., key="customer-1")')
        outputs = self.advance_to(data.time_ns)
        return outputs + self._call(key, data.time_ns, lambda: answer(self._handle, data, "handle"))  # type: ignore[arg-type]

    def advance(self, wait_ms: Union[float, timedelta]) -> list[Output]:
        """Lets so many milliseconds pass, and fires the timers that are due by then: all that they emit, in order.

        Raises what a function raises.
        """
        return self.advance_to(self.now_ns + timers.nanoseconds(wait_ms))

    def advance_to(self, now_ns: int) -> list[Output]:
        """Moves the clock on to this time and fires the timers that are due by then: all that they emit, in order.

        A time that is past moves nothing, and fires what is due. Raises what a function raises.
        """
        self.now_ns = max(self.now_ns, now_ns)
        outputs: list[Output] = []
        for _ in range(FIRINGS_MAX):
            due = self._earliest()
            if due is None:
                return outputs
            outputs += self._fire(*due)
        raise RuntimeError(f"{FIRINGS_MAX} timers fired, the last for key {due[0]!r}: does it set itself anew?")

    def state(self, key: str) -> dict[str, bytes]:
        """The fields of a key, in order of their names."""
        record = self._records.get(key, Record())
        return {name: record.fields[name] for name in record.names("")}

    def get(self, key: str, name: str, default: Any = None) -> Any:
        """One field of a key read as JSON; ``default`` if it is not set."""
        fields = self.state(key)
        return _codec.decode(fields[name]) if name in fields else default

    def set(self, key: str, name: str, data: Any) -> None:
        """Stores a field, as if the plugin had: bytes or text as they are, anything else as JSON."""
        self._records.setdefault(key, Record()).fields[name] = _stored(data)

    def timers(self, key: str) -> list[Timer]:
        """The timers of a key that are set, in the order in which they will fire."""
        set_ = self._records.get(key, Record()).in_order()
        return [Timer(name, key, setting.due_ns, setting.data) for name, setting in set_]

    def upgraded_from(self, version: str) -> None:
        """Says that this older version wrote what is stored now.

        Each key's fields go through the plugin's ``migrate`` before the key's next event or timer.
        """
        self._stale = dict.fromkeys(self._records, version)

    def _earliest(self) -> Optional[tuple[str, str]]:
        due = [
            (setting.due_ns, key, setting.number, name)
            for key, record in self._records.items()
            for name, setting in record.timers.items()
            if setting.due_ns <= self.now_ns
        ]
        if not due:
            return None
        _, key, _, name = min(due)
        return key, name

    def _fire(self, key: str, name: str) -> list[Output]:
        on_timer = self._on_timer
        if on_timer is None:
            raise LookupError(f"timer {name!r} came due, and the plugin has no function on_timer; Keyed(..., on_timer=on_timer)")
        setting = self._records[key].timers[name]
        timer = Timer(name, key, setting.due_ns, setting.data)

        def fire() -> list[Output]:
            host.timer_cancel(name)
            return answer(on_timer, timer, "on_timer")

        try:
            return self._call(key, setting.due_ns, fire)
        except Exception as err:
            if not (isinstance(err, Retry) or (isinstance(err, Refused) and err.may_pass)):
                del self._records[key].timers[name]
            raise

    def _call(self, key: str, at: int, function: Callable[[], list[Output]]) -> list[Output]:
        record = self._records.get(key, Record()).copy()
        if key in self._stale and self._migrate is not None:
            self._migrated(record, self._stale[key])
        self._use(record)
        self._at = at
        try:
            outputs = function()
        except BaseException:
            self._use(self._records.get(key, Record()))
            raise
        finally:
            self._at = None
        self._records[key] = record
        self._stale.pop(key, None)
        return outputs

    def _migrated(self, record: Record, version: str) -> None:
        assert self._migrate is not None
        for name in record.names(""):
            value = migrated(self._migrate, version, name, record.fields[name])
            if value is None:
                del record.fields[name]
            else:
                record.fields[name] = value

    def _use(self, record: Record) -> None:
        host.state_get = record.get
        host.state_set = lambda name, value: record.set(name, value, self._limits)
        host.state_delete = record.delete
        host.state_names = record.names
        host.timer_set = lambda name, due_ns, data: record.set_timer(name, due_ns, data, self._limits)
        host.timer_cancel = record.cancel
