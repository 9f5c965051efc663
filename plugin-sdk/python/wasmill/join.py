"""Two streams joined within a time bound, per key: an order with the payment that follows within an hour.

An event of the right side meets those of the left side from which it is at most ``before_ms`` earlier and at most ``after_ms``
later, both included. Time is as in ``wasmill.window``: the key's watermark is its highest event time, of either side, less
``disorder_ms``. An event before the watermark is late: it meets nothing and is counted. An event is kept until the watermark is past
all that it could meet; if it met nothing until then it is told as unmatched::

    payments = join.Join(before_ms=0, after_ms=3_600_000)

    def handle(event):
        joined = payments.on_event("open", event.time_ns, event.subject.split(".")[0], event.json())
        ...

    def on_timer(timer):
        return [missed(order) for side, order in payments.on_timer("open") if side == "left"]

``plugin-sdk/WINDOWS.md`` of Wasmill's sources has the rules in full, for all languages.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Any, Callable, NamedTuple, Optional

from . import clock, timers
from ._failure import Retry
from .state import Value
from .window import _MS, _ns, length

CAPACITY = 1_000
"""The events that each side keeps at most, unless a join says otherwise."""


class Joined(NamedTuple):
    """What an event did."""

    pairs: list[tuple[Any, Any]]
    """The pairs of left and right that it makes with those kept of the other side, by their time."""
    unmatched: list[tuple[str, Any]]
    """Those kept that can meet no other any more and met none, each after ``left`` or ``right``: the left side's by time, then
    the right side's."""
    late: bool
    """Whether it came before the watermark, and so met nothing."""


class Held:
    """The events of a key that may still meet others. ``Join`` works on it."""

    __slots__ = ("_evicted", "_late", "_left", "_right", "_watermark")

    def __init__(self) -> None:
        self._watermark: Optional[int] = None
        self._late = 0
        self._evicted = 0
        # [time, value, whether it met another], by time.
        self._left: list[list[Any]] = []
        self._right: list[list[Any]] = []

    @property
    def watermark_ns(self) -> Optional[int]:
        """The time before which events are late; None before the first event."""
        return None if self._watermark is None else _ns(self._watermark)

    @property
    def late(self) -> int:
        """How many events came too late."""
        return self._late

    @property
    def evicted(self) -> int:
        """How many events gave way to others for want of room.

        What they would have met later is lost, and those that met nothing are never told as unmatched.
        """
        return self._evicted

    @property
    def pieces(self) -> int:
        """How many events are kept, of both sides."""
        return len(self._left) + len(self._right)

    def dump(self) -> Any:
        """What is stored, times in milliseconds, what is empty left out: ``{"w": watermark, "l": late events, "e": evicted
        events, "a": left side, "b": right side}``."""
        stored: dict[str, Any] = {} if self._watermark is None else {"w": self._watermark}
        for name, value in (("l", self._late), ("e", self._evicted), ("a", self._left), ("b", self._right)):
            if value:
                stored[name] = [list(kept) for kept in value] if isinstance(value, list) else value
        return stored


_at = lambda kept: kept[0]  # noqa: E731


class Join:
    """A join within a time bound."""

    def __init__(self, before_ms: int, after_ms: int, *, disorder_ms: int = 0, capacity: int = CAPACITY) -> None:
        """Joins an event of the left side with those of the right side that are at most so much earlier and later.

        ``disorder_ms`` is how far out of order events come: they are kept that much longer. ``capacity`` is how many events each
        side keeps at most: without room the oldest gives way, is counted in ``Held.evicted``, and is never told as unmatched.
        Raises WindowError if a length is over ten years or no whole number of milliseconds.
        """
        self._before, self._after = length("time before", before_ms), length("time after", after_ms)
        self._disorder = length("disorder", disorder_ms)
        self._capacity = capacity

    def left(self, held: Held, time_ns: int, value: Any) -> Joined:
        """Adds an event of the left side: anything with a JSON form."""
        at = time_ns // _MS
        met = self._meet(held, held._right, at, at - self._before, at + self._after)
        if met is None:
            return Joined([], [], True)
        self._keep(held, held._left, [at, value, bool(met)])
        return Joined([(value, other) for other in met], self.advance(held, time_ns), False)

    def right(self, held: Held, time_ns: int, value: Any) -> Joined:
        """Adds an event of the right side: anything with a JSON form."""
        at = time_ns // _MS
        met = self._meet(held, held._left, at, at - self._after, at + self._before)
        if met is None:
            return Joined([], [], True)
        self._keep(held, held._right, [at, value, bool(met)])
        return Joined([(other, value) for other in met], self.advance(held, time_ns), False)

    def advance(self, held: Held, now_ns: int) -> list[tuple[str, Any]]:
        """Lets time pass to ``now_ns`` on the plugin clock, and tells those that can meet no other any more and met none.

        An earlier time than one before changes nothing.
        """
        watermark = now_ns // _MS - self._disorder
        if held._watermark is not None and held._watermark >= watermark:
            return []
        held._watermark = watermark
        alone = [("left", value) for value in _let_go(held._left, watermark - self._after)]
        return alone + [("right", value) for value in _let_go(held._right, watermark - self._before)]

    def due(self, held: Held) -> Optional[int]:
        """When ``advance`` has something to do, on the plugin clock in nanoseconds; None if nothing is kept."""
        last = [kept[0][0] + bound for kept, bound in ((held._left, self._after), (held._right, self._before)) if kept]
        # The bound itself still joins; a millisecond later nothing does.
        return _ns(min(last) + self._disorder + 1) if last else None

    def load(self, stored: Any) -> Held:
        """What ``Held.dump`` gave. Raises ValueError if it is something else."""
        held = Held()
        try:
            held._watermark = None if stored.get("w") is None else int(stored["w"])
            held._late, held._evicted = int(stored.get("l", 0)), int(stored.get("e", 0))
            held._left = [[int(at), value, bool(met)] for at, value, met in stored.get("a", ())]
            held._right = [[int(at), value, bool(met)] for at, value, met in stored.get("b", ())]
        except (AttributeError, TypeError, ValueError) as err:
            raise ValueError(f"not what a join is stored as: {err}") from None
        return held

    def on_event(self, field: str, time_ns: int, side: str, value: Any) -> Joined:
        """``left`` or ``right``, as ``side`` says, in an event's handler, with the events that a state field holds for the key.

        A timer with the name of the field is set for when an event can meet no other any more; let ``on_timer`` answer it.
        """
        if side not in ("left", "right"):
            raise ValueError(f"a join has the sides left and right, not {side!r}")
        add = self.left if side == "left" else self.right
        return self._stored(field, False, lambda held: add(held, time_ns, value))  # type: ignore[no-any-return]

    def on_timer(self, field: str) -> list[tuple[str, Any]]:
        """``advance`` in the plugin's ``on_timer``: tells those that met no other, and sets the timer for the next."""
        return self._stored(field, True, lambda held: self.advance(held, clock.now()))  # type: ignore[no-any-return]

    def _stored(self, field: str, fired: bool, work: Callable[[Held], Any]) -> Any:
        value = Value(field)
        stored = value.get()
        try:
            held = Held() if stored is None else self.load(stored)
        except ValueError as err:
            raise Retry(f"state field `{field}`: {err}") from None
        # A timer that fired is gone, even if the same time is due as before.
        before = None if fired else self.due(held)
        answer = work(held)
        value.set(held.dump())
        timers.move_to(field, before, self.due(held))
        return answer

    @staticmethod
    def _meet(held: Held, side: list[list[Any]], at: int, first: int, last: int) -> Optional[list[Any]]:
        """The values from one time to another, both included; they have met another now. None if the event is late."""
        if held._watermark is not None and at < held._watermark:
            held._late += 1
            return None
        met = side[bisect_left(side, first, key=_at) : bisect_right(side, last, key=_at)]
        for kept in met:
            kept[2] = True
        return [kept[1] for kept in met]

    def _keep(self, held: Held, side: list[list[Any]], new: list[Any]) -> None:
        """Keeps an event after those of its time; the oldest may give way."""
        side.insert(bisect_right(side, new[0], key=_at), new)
        over = max(len(side) - self._capacity, 0)
        del side[:over]
        held._evicted += over


def _let_go(side: list[list[Any]], until: int) -> list[Any]:
    """Lets go of those before ``until``; those that met no other."""
    place = bisect_left(side, until, key=_at)
    gone = side[:place]
    del side[:place]
    return [value for _, value, met in gone if not met]
