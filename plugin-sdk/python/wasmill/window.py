"""Windows over event time, per key: tumbling, sliding (hopping) and session windows, and aggregates that roll on.

A window is an aggregate (``wasmill.aggregate``) of the events whose time is in it. It closes when time is past its end, and
then its value is told once. ``tumbling``, ``sliding`` and ``session`` say what the windows are, ``Windows`` works on what a key
keeps of them::

    minutes = window.tumbling(60_000, disorder_ms=5_000).of({"n": Count(), "amount": Sum()})

    def handle(event):
        def add(takings):
            takings["n"].add()
            takings["amount"].add(event.field("amount", float))

        added = minutes.on_event("takings", event.time_ns, add)
        return [tell(closed) for closed in added.closed]

    def on_timer(timer):
        return [tell(closed) for closed in minutes.on_timer("takings")]

Each key has a watermark: the highest event time it saw, less ``disorder_ms``. A window closes when the watermark reaches its end; a
timer closes the last window of a quiet key. An event is late if its windows are closed: it is counted, ``Added.late`` tells of it, and
with ``lateness_ms`` a closed window still takes it for so long and is told anew, with ``Closed.replaces`` naming what was told before.

``plugin-sdk/WINDOWS.md`` of Wasmill's sources has the rules in full, for all languages.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from math import gcd
from typing import Any, Callable, Iterator, Mapping, NamedTuple, Optional

from . import clock, timers
from ._failure import Retry
from .aggregate import dump as _dump
from .aggregate import load as _load
from .aggregate import merge as _merge
from .state import Value

MOST_PIECES = 10_000
"""The most pieces (panes or sessions) that one key may have open at once."""

_MS = 1_000_000
_LONGEST_MS = 10 * 366 * 86_400_000
_NEVER = -(1 << 61)


class WindowError(Retry):
    """The definition of a window, a rolling aggregate or a join makes no sense, or is not that of the stored windows.

    It is a retry: the event is sound, and can be handled once the definition is put right, or is again the one that the state was
    stored for.
    """

    kind: str
    """``zero``, ``not-whole-ms``, ``too-long``, ``gaps``, ``too-fine`` or ``uneven``; ``changed`` where windows were stored for
    another size, slide, offset or gap."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


class Window(NamedTuple):
    """From ``start_ns`` up to, but not including, ``end_ns``: nanoseconds since the Unix epoch, whole milliseconds."""

    start_ns: int
    """The first time in it; a window that begins before the epoch is said to begin at it."""
    end_ns: int
    """The first time after it."""

    def in_ms(self) -> dict[str, int]:
        """As JSON has it: ``{"start_ms": ..., "end_ms": ...}``."""
        return {"start_ms": self.start_ns // _MS, "end_ms": self.end_ns // _MS}


class Closed(NamedTuple):
    """A window that closed, or was corrected."""

    window: Window
    """From when to when."""
    value: Any
    """The aggregate of all its events so far."""
    replaces: list[Window]
    """The windows told before that this one stands for now: none when it closes, itself when it is corrected, and for sessions
    also those that were joined."""


class Added(NamedTuple):
    """What an event did."""

    closed: list[Closed]
    """The windows that it corrected or closed, in that order and by their end."""
    late: bool
    """Whether it came too late for all its windows, and so is in none."""


class Open:
    """All open windows of a key. ``Windows`` works on it."""

    __slots__ = ("_late", "_panes", "_sessions", "_shape", "_watermark")

    def __init__(self) -> None:
        self._watermark: Optional[int] = None
        self._late = 0
        # What the pieces were cut for; None if there is no piece.
        self._shape: Optional[str] = None
        # [start, aggregate], sorted by start.
        self._panes: list[list[Any]] = []
        # [start, end, aggregate, windows told], sorted by start; no two overlap.
        self._sessions: list[list[Any]] = []

    @property
    def watermark_ns(self) -> Optional[int]:
        """The time up to which this key's windows are closed; None before the first event."""
        return None if self._watermark is None else _ns(self._watermark)

    @property
    def late(self) -> int:
        """How many events came too late for all their windows."""
        return self._late

    @property
    def pieces(self) -> int:
        """How many pieces (panes or sessions) are kept."""
        return len(self._panes) + len(self._sessions)

    def dump(self) -> Any:
        """What is stored, times in milliseconds, what is empty left out: ``{"w": watermark, "l": late events, "p": panes, "s":
        sessions, "c": the windows they were cut for}``."""
        stored: dict[str, Any] = {}
        if self._watermark is not None:
            stored["w"] = self._watermark
        if self._late:
            stored["l"] = self._late
        if self._panes:
            stored["p"] = [[start, _dump(value)] for start, value in self._panes]
        if self._sessions:
            stored["s"] = [
                [start, end, _dump(value), [list(told) for told in before]]
                for start, end, value, before in self._sessions
            ]
        if self._shape is not None:
            stored["c"] = self._shape
        return stored


class Spec(NamedTuple):
    """What a window is: made by ``tumbling``, ``sliding``, ``session`` or ``spec``; all in milliseconds."""

    size_ms: Optional[int]
    """None for sessions."""
    slide_ms: Optional[int]
    """None for sessions."""
    gap_ms: Optional[int]
    """Of sessions."""
    offset_ms: int
    """Where windows begin, from the Unix epoch."""
    disorder_ms: int
    """How far out of order events come."""
    lateness_ms: int
    """How long a closed window still takes late events."""

    def of(self, empty: Any) -> Windows:
        """Windows over this aggregate, or over a tuple or dict of them; ``empty`` is what each begins with.

        Raises WindowError if the lengths do not make windows, or too many pieces of them could be open at once.
        """
        disorder, lateness = length("disorder", self.disorder_ms), length("lateness", self.lateness_ms)
        if self.gap_ms is not None:
            span = piece = _some_length("gap", self.gap_ms)
        else:
            span, slide = _some_length("size", self.size_ms), _some_length("slide", self.slide_ms)
            if slide > span:
                raise WindowError("gaps", "the slide of a window is over its size, so that some events are in none")
            length("offset", self.offset_ms)
            piece = gcd(span, slide)
        # What lies between the watermark less what is kept behind it, and the latest event; one more at either end.
        pieces = (span + disorder + lateness) // piece + 2
        if pieces > MOST_PIECES:
            raise too_fine(pieces)
        return Windows(self, empty)


def tumbling(size_ms: int, *, offset_ms: int = 0, disorder_ms: int = 0, lateness_ms: int = 0) -> Spec:
    """Windows of one size, one after the other: each event is in one."""
    return Spec(size_ms, size_ms, None, offset_ms, disorder_ms, lateness_ms)


def sliding(size_ms: int, slide_ms: int, *, offset_ms: int = 0, disorder_ms: int = 0, lateness_ms: int = 0) -> Spec:
    """Windows of one size of which one begins every ``slide_ms`` (hopping windows)."""
    return Spec(size_ms, slide_ms, None, offset_ms, disorder_ms, lateness_ms)


def session(gap_ms: int, *, disorder_ms: int = 0, lateness_ms: int = 0) -> Spec:
    """Windows that last for as long as events follow each other within less than ``gap_ms``.

    One that comes ``gap_ms`` after the last is the first of the next session.
    """
    return Spec(None, None, gap_ms, 0, disorder_ms, lateness_ms)


def spec(table: Mapping[str, Any]) -> Spec:
    """A window as a table of the config says it: ``kind`` and the arguments of the function of that name.

    Raises Retry if the table makes no sense.
    """
    given = dict(table)
    kinds: dict[Any, Callable[..., Spec]] = {"tumbling": tumbling, "sliding": sliding, "session": session}
    make = kinds.get(given.pop("kind", None))
    if make is None:
        raise Retry(f"config: a window's kind is tumbling, sliding or session, not {table.get('kind')!r}")
    try:
        return make(**given)
    except TypeError as err:
        raise Retry(f"config: a window's table does not fit: {err}") from None


def too_fine(pieces: int) -> WindowError:
    """Too many pieces may be open at once."""
    return WindowError(
        "too-fine",
        f"a window may have {pieces} pieces open at once, over {MOST_PIECES}\nmake its slide, gap or bucket longer, or its size, "
        "disorder or lateness shorter",
    )


def length(name: str, given: Any) -> int:
    """A length in whole milliseconds. Raises WindowError if it is none."""
    if given.__class__ is not int or given < 0:
        raise WindowError("not-whole-ms", f"the {name} of a window is no whole number of milliseconds")
    if given > _LONGEST_MS:
        raise WindowError("too-long", f"the {name} of a window is over ten years")
    return given  # type: ignore[no-any-return]


def _some_length(name: str, given: Any) -> int:
    if length(name, given) == 0:
        raise WindowError("zero", f"the {name} of a window is zero")
    return given  # type: ignore[no-any-return]


def _ns(ms: int) -> int:
    return max(ms, 0) * _MS


def _window(start: int, end: int) -> Window:
    return Window(_ns(start), _ns(end))


def _floor(time: int, step: int, offset: int) -> int:
    return time - (time - offset) % step


def _copy(value: Any) -> Any:
    return _load(value, _dump(value))


_start = lambda piece: piece[0]  # noqa: E731
_end = lambda piece: piece[1]  # noqa: E731


class Windows:
    """Windows over an aggregate. Made by ``Spec.of``."""

    def __init__(self, spec: Spec, empty: Any) -> None:
        self._empty = empty
        self._disorder = spec.disorder_ms
        # What is stored belongs to it; the same text in every language.
        self._shape = (
            f"{spec.size_ms}/{spec.slide_ms}+{spec.offset_ms}" if spec.gap_ms is None else f"gap {spec.gap_ms}"
        )
        self._cut: Any = (
            _Panes(spec, empty) if spec.gap_ms is None else _Sessions(spec.gap_ms, spec.lateness_ms, empty)
        )

    def add(self, open: Open, time_ns: int, change: Callable[[Any], object]) -> Added:
        """Adds an event of this time: ``change`` adds it to the aggregate of its window, and is not called if it is late."""
        added: Added = self._cut.add(open, time_ns // _MS, change)
        closed = added.closed + self.advance(open, time_ns)
        self._mark(open)
        return added._replace(closed=closed)

    def advance(self, open: Open, now_ns: int) -> list[Closed]:
        """Lets time pass to ``now_ns`` on the plugin clock, and tells the windows that it closed, by their end.

        An earlier time than one before changes nothing.
        """
        watermark = now_ns // _MS - self._disorder
        before = open._watermark
        if before is not None and before >= watermark:
            return []
        open._watermark = watermark
        closed: list[Closed] = self._cut.close(open, watermark, before)
        self._mark(open)
        return closed

    def _mark(self, open: Open) -> None:
        """Notes what the pieces are of; without any the next definition is as good."""
        open._shape = self._shape if open.pieces else None

    def due(self, open: Open) -> Optional[int]:
        """When ``advance`` has something to do, on the plugin clock in nanoseconds; None if nothing is kept.

        A window closes, or, where all are closed, one can be forgotten.
        """
        due = self._cut.due(open)
        return None if due is None else _ns(due + self._disorder)

    def peek(self, open: Open, time_ns: int) -> list[tuple[Window, Any]]:
        """The windows that hold this time, by their end, with their values so far; those without an event are left out."""
        return list(self._cut.peek(open, time_ns // _MS))

    def load(self, stored: Any) -> Open:
        """What ``Open.dump`` gave. Raises ValueError if it is something else.

        Raises WindowError, ``changed``, if it has windows of another size, slide, offset or gap: they would be read as what they
        are not. The disorder and the lateness may have changed.
        """
        open = Open()
        try:
            shape = stored.get("c", self._shape)
            if shape != self._shape and (stored.get("p") or stored.get("s")):
                reason = f"the stored windows are of `{shape}`, the definition is `{self._shape}`"
                raise WindowError("changed", f"{reason}\nhint: give the field another name, or delete it in migrate")
            open._watermark = None if stored.get("w") is None else int(stored["w"])
            open._late = int(stored.get("l", 0))
            open._panes = [[int(start), _load(self._empty, value)] for start, value in stored.get("p", ())]
            open._sessions = [
                [int(start), int(end), _load(self._empty, value), [tuple(map(int, told)) for told in before]]
                for start, end, value, before in stored.get("s", ())
            ]
            open._shape = stored.get("c") if open.pieces else None
        except (AttributeError, KeyError, TypeError, ValueError) as err:
            raise ValueError(f"not what windows are stored as: {err}") from None
        return open

    def on_event(self, field: str, time_ns: int, change: Callable[[Any], object]) -> Added:
        """``add`` in an event's handler, to the windows that a state field holds for the event's key.

        A timer with the name of the field is set for when the next window closes; let ``on_timer`` answer it.
        """
        return self._stored(field, False, lambda open: self.add(open, time_ns, change))  # type: ignore[no-any-return]

    def on_timer(self, field: str) -> list[Closed]:
        """``advance`` in the plugin's ``on_timer``: closes what is due, and sets the timer for the next window."""
        return self._stored(field, True, lambda open: self.advance(open, clock.now()))  # type: ignore[no-any-return]

    def _stored(self, field: str, fired: bool, work: Callable[[Open], Any]) -> Any:
        value = Value(field)
        stored = value.get()
        try:
            open = Open() if stored is None else self.load(stored)
        except ValueError as err:
            raise Retry(f"state field `{field}`: {err}") from None
        # A timer that fired is gone, even if the same time is due as before.
        before = None if fired else self.due(open)
        answer = work(open)
        value.set(open.dump())
        timers.move_to(field, before, self.due(open))
        return answer


class _Panes:
    """Tumbling and sliding windows share panes: each event is in one pane, each window is a run of whole panes (Li et al., "No
    Pane, No Gain", 2005). A pane is as long as the greatest common divisor of size and slide."""

    def __init__(self, spec: Spec, empty: Any) -> None:
        assert spec.size_ms is not None and spec.slide_ms is not None
        self.size, self.slide, self.offset = spec.size_ms, spec.slide_ms, spec.offset_ms
        self.pane = gcd(self.size, self.slide)
        self.lateness = spec.lateness_ms
        self.empty = empty

    def add(self, open: Open, time: int, change: Callable[[Any], object]) -> Added:
        watermark = _NEVER if open._watermark is None else open._watermark
        start = _floor(time, self.pane, self.offset)
        if self.last_end(start) + self.lateness <= watermark:
            open._late += 1
            return Added([], True)
        closed_ends = [end for end in self.ends(start) if end <= watermark < end + self.lateness]
        told = [bool(self.panes(open, end)) for end in closed_ends]
        place = bisect_left(open._panes, start, key=_start)
        if place == len(open._panes) or open._panes[place][0] != start:
            open._panes.insert(place, [start, _copy(self.empty)])
        change(open._panes[place][1])
        closed = []
        for end, again in zip(closed_ends, told, strict=True):
            window = _window(end - self.size, end)
            closed.append(Closed(window, self.value(open, end), [window] if again else []))
        return Added(closed, False)

    def close(self, open: Open, watermark: int, before: Optional[int]) -> list[Closed]:
        closed = []
        after = _NEVER if before is None else before
        while True:
            end = self.next_end(open, after)
            if end is None or end > watermark:
                break
            if self.panes(open, end):
                closed.append(Closed(_window(end - self.size, end), self.value(open, end), []))
            after = end
        open._panes = [pane for pane in open._panes if self.last_end(pane[0]) + self.lateness > watermark]
        return closed

    def due(self, open: Open) -> Optional[int]:
        end = self.next_end(open, _NEVER if open._watermark is None else open._watermark)
        if end is not None or not open._panes:
            return end
        return self.last_end(open._panes[0][0]) + self.lateness

    def peek(self, open: Open, time: int) -> Iterator[tuple[Window, Any]]:
        for end in self.ends(_floor(time, self.pane, self.offset)):
            if self.panes(open, end):
                yield _window(end - self.size, end), self.value(open, end)

    def ends(self, start: int) -> range:
        """The ends of the windows that hold the pane at ``start``, ascending."""
        return range(self.end_after(start), start + self.size + 1, self.slide)

    def end_after(self, time: int) -> int:
        """The first end of a window that is after ``time``."""
        return _floor(time, self.slide, self.offset + self.size) + self.slide

    def last_end(self, start: int) -> int:
        """The end of the last window that holds the pane at ``start``."""
        return _floor(start, self.slide, self.offset) + self.size

    def next_end(self, open: Open, after: int) -> Optional[int]:
        """The first end after ``after`` of a window that holds an event."""
        if not open._panes:
            return None
        end = self.end_after(max(after, open._panes[0][0]))
        place = bisect_left(open._panes, end - self.size, key=_start)
        if place == len(open._panes):
            return None
        start: int = open._panes[place][0]
        return end if start < end else self.end_after(start)

    def panes(self, open: Open, end: int) -> list[list[Any]]:
        """The panes of the window that ends at ``end``."""
        first = bisect_left(open._panes, end - self.size, key=_start)
        return open._panes[first : bisect_left(open._panes, end, key=_start)]

    def value(self, open: Open, end: int) -> Any:
        """The value of the window that ends at ``end``: its panes merged, the earliest first."""
        first, *rest = self.panes(open, end)
        value = _copy(first[1])
        for pane in rest:
            _merge(value, pane[1])
        return value


class _Sessions:
    """Session windows."""

    def __init__(self, gap: int, lateness: int, empty: Any) -> None:
        self.gap = gap
        self.lateness = lateness
        self.empty = empty

    def add(self, open: Open, time: int, change: Callable[[Any], object]) -> Added:
        first = bisect_right(open._sessions, time, key=_end)
        to = bisect_left(open._sessions, time + self.gap, key=_start)
        watermark = _NEVER if open._watermark is None else open._watermark
        if first == to and time + self.gap + self.lateness <= watermark:
            open._late += 1
            return Added([], True)
        # An event may join two sessions, or begin a new one.
        merged: list[Any] = [time, time + self.gap, None, []]
        for start, end, value, told in open._sessions[first:to]:
            merged[0], merged[1] = min(merged[0], start), max(merged[1], end)
            merged[3] += told
            if merged[2] is None:
                merged[2] = value
            else:
                _merge(merged[2], value)
        if merged[2] is None:
            merged[2] = _copy(self.empty)
        change(merged[2])
        closed = [self.tell(merged)] if merged[1] <= watermark else []
        open._sessions[first:to] = [merged]
        return Added(closed, False)

    def close(self, open: Open, watermark: int, before: Optional[int]) -> list[Closed]:
        after = _NEVER if before is None else before
        closed = [self.tell(session) for session in open._sessions if after < session[1] <= watermark]
        open._sessions = [session for session in open._sessions if session[1] + self.lateness > watermark]
        return closed

    def due(self, open: Open) -> Optional[int]:
        watermark = _NEVER if open._watermark is None else open._watermark
        for session in open._sessions:
            if session[1] > watermark:
                return session[1]  # type: ignore[no-any-return]
        return open._sessions[0][1] + self.lateness if open._sessions else None

    def peek(self, open: Open, time: int) -> Iterator[tuple[Window, Any]]:
        for start, end, value, _ in open._sessions:
            if start <= time < end:
                yield _window(start, end), _copy(value)

    @staticmethod
    def tell(session: list[Any]) -> Closed:
        start, end, value, before = session
        session[3] = [(start, end)]
        return Closed(_window(start, end), _copy(value), [_window(*told) for told in before])


class Buckets:
    """What a key keeps of a rolling aggregate. ``Rolling`` works on it."""

    __slots__ = ("_late", "_panes")

    def __init__(self) -> None:
        self._late = 0
        self._panes: list[list[Any]] = []

    @property
    def late(self) -> int:
        """How many events came when they were older than the span."""
        return self._late

    @property
    def latest_ns(self) -> Optional[int]:
        """When the latest bucket begins: an event from before it comes out of order. None before the first event."""
        return _ns(self._panes[-1][0]) if self._panes else None

    @property
    def pieces(self) -> int:
        """How many buckets are kept: those of the span that hold an event."""
        return len(self._panes)

    def dump(self) -> Any:
        """What is stored, times in milliseconds: ``{"l": late events, "p": [[start, aggregate], ...]}``, without ``l`` if there
        were none."""
        stored: dict[str, Any] = {"l": self._late} if self._late else {}
        stored["p"] = [[start, _dump(value)] for start, value in self._panes]
        return stored


class Rolling:
    """An aggregate over the last so much time, as of any event: velocity rules ask "how many within 24 h, this one included".

    Unlike a window it never closes: the handler asks when it wants to know. It keeps one aggregate for each bucket of time, so a
    span is rounded to whole buckets: the one that now is in, and those before it. Events may come in any order; one older than
    the span is late.
    """

    def __init__(self, span_ms: int, bucket_ms: int, empty: Any) -> None:
        """An aggregate over the last ``span_ms``, kept in buckets of this length; ``empty`` is what each begins with.

        Raises WindowError if a length is zero or too long, if the bucket does not divide the span, or if there are more than
        10,000 of them.
        """
        self._span, self._bucket = _some_length("span", span_ms), _some_length("bucket", bucket_ms)
        if self._span % self._bucket:
            raise WindowError("uneven", "the bucket of a rolling aggregate does not divide its span")
        if self._span // self._bucket > MOST_PIECES:
            raise too_fine(self._span // self._bucket)
        self._empty = empty

    def add(self, kept: Buckets, time_ns: int, change: Callable[[Any], object]) -> bool:
        """Adds an event of this time: ``change`` adds it to the aggregate. Whether it is counted.

        One older than the span, seen from the latest event, is late and is not.
        """
        start = _floor(time_ns // _MS, self._bucket, 0)
        latest = max(kept._panes[-1][0], start) if kept._panes else start
        if start <= latest - self._span:
            kept._late += 1
            return False
        kept._panes = [pane for pane in kept._panes if pane[0] > latest - self._span]
        place = bisect_left(kept._panes, start, key=_start)
        if place == len(kept._panes) or kept._panes[place][0] != start:
            kept._panes.insert(place, [start, _copy(self._empty)])
        change(kept._panes[place][1])
        return True

    def over(self, kept: Buckets, now_ns: int, span_ms: Optional[int] = None) -> Any:
        """The aggregate over the last ``span_ms`` as of ``now_ns``; over the whole span if it is not said.

        It is of the bucket that now is in and those before it, for a span rounded up to whole buckets. Events after that bucket
        do not count.
        """
        now = _floor(now_ns // _MS, self._bucket, 0)
        span = self._span if span_ms is None else min(span_ms, self._span)
        value = _copy(self._empty)
        for start, more in kept._panes:
            if now - span < start <= now:
                _merge(value, more)
        return value

    def load(self, stored: Any) -> Buckets:
        """What ``Buckets.dump`` gave. Raises ValueError if it is something else."""
        kept = Buckets()
        try:
            kept._late = int(stored.get("l", 0))
            kept._panes = [[int(start), _load(self._empty, value)] for start, value in stored["p"]]
        except (AttributeError, KeyError, TypeError, ValueError) as err:
            raise ValueError(f"not what a rolling aggregate is stored as: {err}") from None
        return kept

    def on_event(self, field: str, time_ns: int, change: Callable[[Any], object]) -> Buckets:
        """``add`` in an event's handler, to what a state field holds for the event's key, and what it holds then."""
        value = Value(field)
        stored = value.get()
        try:
            kept = Buckets() if stored is None else self.load(stored)
        except ValueError as err:
            raise Retry(f"state field `{field}`: {err}") from None
        self.add(kept, time_ns, change)
        value.set(kept.dump())
        return kept
