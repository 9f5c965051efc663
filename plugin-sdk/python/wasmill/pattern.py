"""Patterns over a key's events: sequence, repetition, negation, time bounds, skip strategies.

A pattern is a list of stages, each with a name and a condition that sees the event and, if it takes a second argument, what the match
holds so far::

    guessed = (
        pattern.begin("failed", lambda login: not login["ok"])
        .at_least(3)
        .followed_by("in", lambda login: login["ok"])
        .within(timedelta(minutes=10))
        .skip(pattern.PAST_LAST)
        .kept("guessed")
    )

    def handle(event):
        return [alert(match) for match in guessed.advance(event.json()).matches]

    def on_timer(timer):
        guessed.on_timer(timer)

What every word means, to the last tie, is in ``plugin-sdk/PATTERNS.md`` of Wasmill's sources.
"""

from __future__ import annotations

from bisect import bisect_left
from datetime import timedelta
from functools import cmp_to_key
from typing import Any, Callable, Iterable, NamedTuple, Optional, Union

from . import clock, timers
from ._failure import Reject, Retry
from .state import Value
from .timers import Timer

MAX_STAGES = 30
"""Bits of a run's open ways are stage numbers, one more for the end; 30 keeps them a positive 32-bit integer in every language."""
MAX_NAME = 64
"""The longest name of a stage, bytes."""
DEFAULT_LIMIT = 2_048
"""How many entries unfinished matches may have, unless the pattern says otherwise."""

NEXT, FOLLOWED_BY, FOLLOWED_BY_ANY = ">", "~", "*"
NONE = ("none", "")
"""Every match is reported."""
TO_NEXT = ("to-next", "")
"""One match for each first event."""
PAST_LAST = ("past-last", "")
"""The next match begins after the last event of this one."""

Condition = Union[Callable[[Any], object], Callable[[Any, "Seen"], object]]
"""Whether an event is one: it sees the event and, if it takes a second argument, what this match holds so far."""
Take = tuple[int, int]
"""Which variable took which event, by its number."""

_NO_END = (1 << 32) - 1
_LATEST = (1 << 64) - 1


def to_first(name: str) -> tuple[str, str]:
    """The next match begins at the first event of this name, or later. A match without one skips nothing."""
    return ("to-first", name)


def to_last(name: str) -> tuple[str, str]:
    """The next match begins at the last event of this name, or later. A match without one skips nothing."""
    return ("to-last", name)


class PatternError(Retry):
    """The pattern, or the state it found, is not sound.

    It is a retry: the event is, and can be handled once the version that wrote the state is back or the mistake is corrected.
    """

    kind: str
    """``invalid``: the pattern means nothing; ``changed``: the stored state is of another pattern; ``corrupt``: it contradicts
    itself."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(f"pattern: {reason}")
        self.kind = kind


class PatternFull(Reject):
    """With this event unfinished matches would hold more than the limit. It does not get better by waiting."""

    kind = "full"

    def __init__(self, limit: int) -> None:
        hint = "bound it by within, a skip strategy or greedy, raise limit, or evict_oldest"
        super().__init__(f"pattern: unfinished matches hold over {limit} events\nhint: {hint}")


class Taken(NamedTuple):
    """One event of a match."""

    name: str
    """The name that the pattern gives it."""
    time_ns: int
    """When it came; no earlier than the one before it."""
    event: Any
    """The event as it was given."""


class Found(NamedTuple):
    """A match, or an unfinished one that timed out or was evicted."""

    at_ns: int
    """When it was decided: the time of the event that completed it, or the end of its time."""
    events: list[Taken]
    """Its events, in order."""

    def all(self, name: str) -> list[Any]:
        """The events of this name, in order."""
        return [taken.event for taken in self.events if taken.name == name]

    def first(self, name: str) -> Any:
        """The first event of this name; None if there is none."""
        return next(iter(self.all(name)), None)

    def last(self, name: str) -> Any:
        """The last event of this name; None if there is none."""
        return next(reversed(self.all(name)), None)

    @property
    def span_ns(self) -> int:
        """From its first event to its last."""
        return self.events[-1].time_ns - self.events[0].time_ns if self.events else 0


class Step(NamedTuple):
    """What an event or a timer brought about."""

    matches: list[Found]
    """The matches, in the order of their first events."""
    timeouts: list[Found]
    """The unfinished ones whose time ran out."""
    evicted: list[Found]
    """The unfinished ones given up at the limit, oldest first."""


class Seen:
    """What a match holds so far, as a condition sees it."""

    __slots__ = ("_pattern", "_takes", "_work", "time_ns")

    time_ns: int
    """When the event came that the condition is asked about."""

    def __init__(self, work: _Work, takes: list[Take], time_ns: int) -> None:
        self._pattern = work.pattern
        self._work = work
        self._takes = takes
        self.time_ns = time_ns

    def all(self, name: str) -> list[Any]:
        """The events of this name so far, in order."""
        names = self._pattern._names
        return [self._work.get(number)[1] for variable, number in self._takes if names[variable] == name]

    def first(self, name: str) -> Any:
        """The first event of this name; None if there is none."""
        return next(iter(self.all(name)), None)

    def last(self, name: str) -> Any:
        """The last event of this name; None if there is none."""
        return next(reversed(self.all(name)), None)

    @property
    def latest(self) -> Any:
        """The event taken last, of whatever name; None before the first."""
        return self._work.get(self._takes[-1][1])[1] if self._takes else None

    @property
    def latest_time_ns(self) -> Optional[int]:
        """When the event came that was taken last; None before the first."""
        return self._work.get(self._takes[-1][1])[0] if self._takes else None


class State:
    """What one key has of a pattern between events."""

    __slots__ = ("_clock", "_events", "_held", "_next", "_runs", "_shape")

    def __init__(self) -> None:
        self._shape = ""
        self._next = 0
        self._clock = 0
        # (number, time, event) of every event that is still needed, in order.
        self._events: list[tuple[int, int, Any]] = []
        self._runs: list[_Run] = []
        self._held: list[_Held] = []

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way: such a state need not be stored."""
        return not self._runs and not self._held

    @property
    def unfinished(self) -> int:
        """How many unfinished matches there are."""
        return len(self._runs)

    def dump(self) -> Any:
        """What is stored: a value with a JSON form."""
        stored: dict[str, Any] = {
            "p": self._shape,
            "n": self._next,
            "t": str(self._clock),
            "e": [[number, str(time), event] for number, time, event in self._events],
            "r": [[run.open, run.matched, [list(take) for take in run.takes]] for run in self._runs],
        }
        if self._held:
            stored["h"] = [[str(held.at), [list(take) for take in held.takes]] for held in self._held]
        return stored

    @staticmethod
    def load(stored: Any) -> State:
        """What ``dump`` gave. Raises PatternError if it is something else."""
        state = State()
        try:
            state._shape, state._next, state._clock = str(stored["p"]), int(stored["n"]), int(stored["t"])
            state._events = [(int(number), int(time), event) for number, time, event in stored["e"]]
            state._runs = [_Run(int(open), bool(matched), _takes(takes)) for open, matched, takes in stored["r"]]
            state._held = [_Held(int(at), _takes(takes)) for at, takes in stored.get("h", ())]
        except (AttributeError, KeyError, TypeError, ValueError):
            raise _corrupt() from None
        return state

    def _event(self, number: int) -> Optional[tuple[int, int, Any]]:
        place = bisect_left(self._events, number, key=lambda event: event[0])
        found = self._events[place : place + 1]
        return found[0] if found and found[0][0] == number else None


def _takes(stored: Iterable[Any]) -> list[Take]:
    return [(int(variable), int(number)) for variable, number in stored]


def _corrupt() -> PatternError:
    reason = "the stored state contradicts itself\nhint: another plugin version or a person wrote it; delete the field"
    return PatternError("corrupt", reason)


class _Run(NamedTuple):
    """An unfinished match: the open ways on, a bit for each stage and one for the end; whether it was a match as it stands; what it
    took."""

    open: int
    matched: bool
    takes: list[Take]

    @property
    def start(self) -> int:
        return self.takes[0][1]


class _Held(NamedTuple):
    """A match that waits for those that began before it: when it was done, what it took."""

    at: int
    takes: list[Take]

    @property
    def start(self) -> int:
        return self.takes[0][1]


class _Not(NamedTuple):
    """What must not come; if ``next``, only the very next event counts."""

    next: bool
    condition: Callable[[Any, Seen], object]


class _Stage:
    __slots__ = ("greedy", "inner", "link", "max", "min", "nots", "optional", "variables")

    def __init__(self, link: str, variable: int, nots: list[_Not]) -> None:
        self.link = link
        self.variables = [variable]
        self.min = self.max = 1
        self.inner = FOLLOWED_BY
        self.optional = self.greedy = False
        self.nots = nots


class _Way(NamedTuple):
    """One way on: to a stage, or to the end."""

    target: int
    link: str
    nots: list[_Not]
    greedy: list[int]

    @property
    def bit(self) -> int:
        return 1 << self.target


def begin(name: str, condition: Condition) -> Pattern:
    """A pattern that begins with such an event."""
    return Pattern()._then(NEXT, name, condition)


class Pattern:
    """Which events, in which order, make a match. Begun by ``begin``.

    Stages are added front to back; ``times`` and the like speak of the stage added last. What is wrong with a pattern is told by its
    first use, or by ``check``.
    """

    def __init__(self) -> None:
        self._stages: list[_Stage] = []
        self._names: list[str] = []
        self._conditions: list[Callable[[Any, Seen], object]] = []
        self._stage_of: list[int] = []
        self._trailing: list[_Not] = []
        self._within: Optional[int] = None
        self._skip = NONE
        self._limit = DEFAULT_LIMIT
        self._evict = False
        self._mistake: Optional[str] = None
        self._checked = False

    def next(self, name: str, condition: Condition) -> Pattern:
        """Goes on with the very next event; anything else ends the attempt."""
        return self._then(NEXT, name, condition)

    def followed_by(self, name: str, condition: Condition) -> Pattern:
        """Goes on with the first event that is one, whatever comes before it."""
        return self._then(FOLLOWED_BY, name, condition)

    def followed_by_any(self, name: str, condition: Condition) -> Pattern:
        """Goes on with each later event that is one: as many matches as there are such events."""
        return self._then(FOLLOWED_BY_ANY, name, condition)

    def or_(self, name: str, condition: Condition) -> Pattern:
        """The stage added last is also met by another kind of event, which has its own name in the match.

        Where both conditions hold, the name given first has it.
        """
        self._last("or_").variables.append(len(self._names))
        self._variable(name, condition, len(self._stages) - 1)
        return self

    def not_next(self, condition: Condition) -> Pattern:
        """The event right after the last one taken must not be such a one.

        At the end of a pattern the next event closes the match, or the end of ``within``.
        """
        self._trailing.append(_Not(True, _with_seen(condition)))
        return self

    def not_followed_by(self, condition: Condition) -> Pattern:
        """No such event may come before the next stage is met.

        At the end of a pattern the end of ``within`` closes the match: "A and no B within ten minutes". After a stage that repeats
        it holds between the repetitions too.
        """
        self._trailing.append(_Not(False, _with_seen(condition)))
        return self

    def times(self, count: int) -> Pattern:
        """The stage is met by exactly so many events."""
        return self.between(count, count)

    def between(self, least: int, most: Optional[int]) -> Pattern:
        """The stage is met by so many to so many events, None is no end; from 0 it is optional."""
        most = _NO_END if most is None else most
        if most == 0 or least > most or least < 0:
            self._blame(f"between({least}, {most}) repeats nothing")
        stage = self._last("times")
        stage.min, stage.max = max(least, 1), most
        stage.optional |= least == 0
        return self

    def at_least(self, least: int) -> Pattern:
        """The stage is met by so many or more events."""
        return self.between(least, None)

    def one_or_more(self) -> Pattern:
        """The stage is met by one or more events."""
        return self.at_least(1)

    def optional(self) -> Pattern:
        """A match may do without the stage."""
        self._last("optional").optional = True
        return self

    def greedy(self) -> Pattern:
        """As many repetitions as possible: a match leaves the stage only where it cannot take one more.

        Otherwise each number of repetitions that leads on is a match, the fewest first.
        """
        self._last("greedy").greedy = True
        return self

    def consecutive(self) -> Pattern:
        """Nothing may lie between the repetitions of the stage, where otherwise other events may."""
        self._last("consecutive").inner = NEXT
        return self

    def combinations(self) -> Pattern:
        """Repetitions of the stage may leave out events that are one: each combination is a match."""
        self._last("combinations").inner = FOLLOWED_BY_ANY
        return self

    def within(self, wait_ms: Union[float, timedelta]) -> Pattern:
        """The longest time from the first event to the last: an event exactly that much later is no part of the match.

        An attempt that is not done by then has timed out.
        """
        self._within = timers.nanoseconds(wait_ms)
        if self._within <= 0:
            self._blame("within() needs some time")
        return self

    def skip(self, strategy: tuple[str, str]) -> Pattern:
        """What goes on after a match: ``NONE``, ``TO_NEXT``, ``PAST_LAST``, ``to_first(name)`` or ``to_last(name)``.

        With the last three a match waits until all that began before it is decided. Give such a pattern a ``within``: without it
        one sequence that never ends holds back all later matches of its key.
        """
        self._skip = strategy
        return self

    def limit(self, entries: int) -> Pattern:
        """How much unfinished matches may hold: the sum of their lengths in events. More is a PatternFull."""
        self._limit = entries
        return self

    def evict_oldest(self) -> Pattern:
        """At the limit the unfinished matches that began first are given up, and reported as evicted, instead of an error."""
        self._evict = True
        return self

    def kept(self, name: str) -> Kept:
        """Keeps the pattern's state for each key, in a field and a timer of this name."""
        return Kept(self, name)

    def check(self) -> Pattern:
        """Says what is wrong with the pattern, for a unit test of the plugin.

        Raises PatternError with the first mistake.
        """
        mistake = self._mistake or self._bad_names() or self._bad_ends()
        if mistake is not None:
            raise PatternError("invalid", mistake)
        self._checked = True
        return self

    def advance(self, state: State, event: Any, time_ns: int) -> Step:
        """Takes one event: anything with a JSON form. Unfinished matches whose time is up by then are closed first.

        While something is under way, an event that is older than what came before it counts as of the same time. Raises
        PatternError or PatternFull; the state is then as before.
        """
        self._check_state(state)
        time_ns = max(time_ns, state._clock)
        work = _Work(self, state, (state._next, time_ns, event))
        work.close_until(time_ns)
        work.take(state._next, time_ns, event)
        work.bound(time_ns)
        work.settle(time_ns)
        return work.step

    def on_time(self, state: State, now_ns: int) -> Step:
        """Closes the unfinished matches whose time is up. Call it when ``due`` says so; earlier does no harm.

        Raises PatternError; the state is then as before.
        """
        self._check_state(state)
        now_ns = max(now_ns, state._clock)
        work = _Work(self, state, None)
        work.close_until(now_ns)
        work.settle(now_ns)
        return work.step

    def due(self, state: State) -> Optional[int]:
        """When the first unfinished match runs out of time, in nanoseconds: ``on_time`` is needed then, unless an event comes first.

        None if nothing waits for time to pass.
        """
        if self._within is None or not state._runs:
            return None
        first = state._event(state._runs[0].start)
        return None if first is None else min(first[1] + self._within, _LATEST)

    def shape(self) -> str:
        """The stages as one line of text, the same in every language: a state belongs to it."""
        parts = []
        for index, stage in enumerate(self._stages):
            parts += ["!>" if no.next else "!~" for no in stage.nots]
            part = (stage.link if index else "") + "|".join([self._names[variable] for variable in stage.variables])
            if (stage.min, stage.max) != (1, 1):
                part += f"{{{stage.min},{'' if stage.max == _NO_END else stage.max}}}{stage.inner}"
            parts.append(part + "?" * stage.optional + "+" * stage.greedy)
        parts += ["!>" if no.next else "!~" for no in self._trailing]
        return " ".join(parts)

    def _then(self, link: str, name: str, condition: Condition) -> Pattern:
        if not self._stages and self._trailing:
            self._blame("a pattern begins with an event, not with the lack of one")
        self._stages.append(_Stage(link, len(self._names), self._trailing))
        self._trailing = []
        self._variable(name, condition, len(self._stages) - 1)
        return self

    def _variable(self, name: str, condition: Condition, stage: int) -> None:
        self._names.append(name)
        self._conditions.append(_with_seen(condition))
        self._stage_of.append(stage)
        self._checked = False

    def _last(self, what: str) -> _Stage:
        if self._trailing:
            self._blame(f"{what} follows a negation, where it has no meaning")
        return self._stages[-1]

    def _blame(self, mistake: str) -> None:
        self._mistake = self._mistake or mistake

    def _bad_names(self) -> Optional[str]:
        for number, name in enumerate(self._names):
            if not 1 <= len(name) <= MAX_NAME or not name.isascii() or not name.replace("_", "a").replace("-", "a").isalnum():
                return f"`{name}` is no name: letters, digits, `-` and `_`, up to {MAX_NAME}"
            if name in self._names[:number]:
                return f"two events are called `{name}`"
        if self._skip[1] and self._skip[1] not in self._names:
            return f"it skips to `{self._skip[1]}`, which is none of its events"
        return None

    def _bad_ends(self) -> Optional[str]:
        """A match needs an event, and something that ends it."""
        if len(self._stages) > MAX_STAGES:
            return f"it has over {MAX_STAGES} stages"
        if all(stage.optional for stage in self._stages):
            return "all of it is optional: it would match nothing at all"
        if self._limit <= 0:
            return "its limit is 0"
        if self._within is not None:
            return None
        tail = []
        for stage in reversed(self._stages):
            tail.append(stage)
            if not stage.optional:
                break
        if any(not no.next for no in [*self._trailing, *(no for stage in tail if stage.optional for no in stage.nots)]):
            return "it ends with what must not come, and no `within` says for how long"
        for stage in tail:
            waits_inside = stage.max > 1 and stage.inner != NEXT
            waits_before = stage.optional and stage.link != NEXT
            if stage.greedy and (waits_inside or waits_before):
                return "it ends with a greedy stage that can always take more, and has no `within`"
        return None

    def _check_state(self, state: State) -> None:
        if not self._checked:
            self.check()
        if state.is_idle:
            return
        now = self.shape()
        if state._shape != now:
            reason = (
                f"the stored state is of `{state._shape}`, the pattern is `{now}`\n"
                "hint: give the field another name, or delete it in migrate"
            )
            raise PatternError("changed", reason)
        numbers = [event[0] for event in state._events]
        rising = all(one < other for one, other in zip(numbers, [*numbers[1:], state._next]))  # noqa: B905
        if not rising or not all(self._plausible(state, each.takes) for each in [*state._runs, *state._held]):
            raise _corrupt()

    def _plausible(self, state: State, takes: list[Take]) -> bool:
        if not takes or not all(0 <= variable < len(self._names) and state._event(number) for variable, number in takes):
            return False
        places = [(number, self._stage_of[variable]) for variable, number in takes]
        return all(one[0] < other[0] and one[1] <= other[1] for one, other in zip(places, places[1:]))  # noqa: B905

    def _ways(self, takes: list[Take]) -> list[_Way]:
        """The ways on after these events, nearest stage first; the end, where it can be reached, is last."""
        ways: list[_Way] = []
        nots: list[_Not] = []
        greedy: list[int] = []
        first = 0
        if takes:
            number = self._stage_of[takes[-1][0]]
            stage = self._stages[number]
            count = sum(self._stage_of[variable] == number for variable, _ in takes)
            after = self._nots_after(number)
            if count < stage.max:
                ways.append(_Way(number, stage.inner, after, []))
                if stage.greedy:
                    greedy.append(number)
            if count < stage.min:
                return ways
            nots = list(after)
            first = number + 1
        for number in range(first, len(self._stages)):
            stage = self._stages[number]
            ways.append(_Way(number, stage.link, list(nots), list(greedy)))
            if not stage.optional:
                return ways
            if stage.greedy:
                greedy.append(number)
            # Before the first event there is nothing that something could follow.
            if takes:
                nots += self._nots_after(number)
        ways.append(_Way(len(self._stages), FOLLOWED_BY, nots, greedy))
        return ways

    def _nots_after(self, number: int) -> list[_Not]:
        """What must not come between this stage and the next."""
        return self._stages[number + 1].nots if number + 1 < len(self._stages) else self._trailing

    def _prefer(self, a: list[Take], b: list[Take]) -> int:
        """Which of two matches that were done at the same moment comes first.

        The one that began first, then, where they part, the one that leaves a reluctant stage or stays in a greedy one, then the one
        with the earlier event.
        """
        if a[0][1] != b[0][1]:
            return a[0][1] - b[0][1]
        if a == b:
            return 0
        shorter = min(len(a), len(b))
        index = next((index for index in range(shorter) if a[index] != b[index]), shorter)
        end = len(self._stages)
        one = self._stage_of[a[index][0]] if index < len(a) else end
        other = self._stage_of[b[index][0]] if index < len(b) else end
        if one != other:
            nearer = self._stages[min(one, other)]
            return one - other if nearer.greedy else other - one
        return a[index][1] - b[index][1]


def _with_seen(condition: Condition) -> Callable[[Any, Seen], object]:
    function = getattr(condition, "__func__", condition)
    code = getattr(function, "__code__", None)
    bound = function is not condition
    if code is not None and code.co_argcount - bound == 1 and not code.co_flags & 0x04:
        return lambda event, _: condition(event)  # type: ignore[call-arg]
    return condition  # type: ignore[return-value]


class _Work:
    """The step under way; the state is not touched before it succeeds."""

    def __init__(self, pattern: Pattern, state: State, new: Optional[tuple[int, int, Any]]) -> None:
        self.pattern = pattern
        self.state = state
        self.new = new
        self.runs = list(state._runs)
        self.held = list(state._held)
        self.expired: list[_Run] = []
        self.step = Step([], [], [])
        self.end = len(pattern._stages)

    def get(self, number: int) -> tuple[int, Any]:
        """Time and event of a number."""
        if self.new is not None and self.new[0] == number:
            return self.new[1], self.new[2]
        stored = self.state._event(number)
        assert stored is not None  # The state was checked.
        return stored[1], stored[2]

    def ends_at(self, run: _Run) -> int:
        assert self.pattern._within is not None
        return min(self.get(run.start)[0] + self.pattern._within, _LATEST)

    def close_until(self, now: int) -> None:
        """Lets time pass, one moment after another."""
        if self.pattern._within is None:
            return
        while self.runs:
            moment = self.ends_at(self.runs[0])
            if moment > now:
                return
            rest = next((index for index, run in enumerate(self.runs) if self.ends_at(run) > moment), len(self.runs))
            ended, self.runs = self.runs[:rest], self.runs[rest:]
            done = [run.takes for run in ended if run.open & 1 << self.end]
            expired = [run for run in ended if not run.open & 1 << self.end and not run.matched]
            self.expired = sorted(expired, key=cmp_to_key(lambda a, b: self.pattern._prefer(a.takes, b.takes)))
            self.complete(done, moment)
            self.step.timeouts.extend([self.found(run.takes, moment) for run in self.expired])
            self.expired = []

    def take(self, number: int, time: int, event: Any) -> None:
        """Gives the event to each run, and begins new ones."""
        done: list[list[Take]] = []
        before, self.runs = self.runs, []
        for run in before:
            self.feed(run, number, time, event, done)
        self.feed(_Run((1 << 32) - 1, True, []), number, time, event, done)
        self.complete(done, time)

    def feed(self, run: _Run, number: int, time: int, event: Any, done: list[list[Take]]) -> None:
        pattern = self.pattern
        takes = run.takes
        matched = run.matched
        ways = pattern._ways(takes)
        open = run.open & sum(way.bit for way in ways)
        seen = Seen(self, takes, time)
        right_after = bool(takes) and takes[-1][1] + 1 == number
        taken = 0
        longer: list[_Run] = []
        for way in ways:
            bit = way.bit
            if not open & bit:
                continue
            if any((right_after or not no.next) and no.condition(event, seen) for no in way.nots) or any(
                taken & 1 << stage for stage in way.greedy
            ):
                open &= ~bit
            elif way.target == self.end:
                # After an event that did not close it nothing is waited for but more of a greedy stage, and that can take no more.
                if takes and all(no.next for no in way.nots) and not any(open & 1 << stage for stage in way.greedy):
                    open &= ~bit
                    matched = True
                    done.append(takes)
            else:
                variable = self.variable(way, event, seen)
                if variable is not None:
                    taken |= bit
                    if way.link != FOLLOWED_BY_ANY:
                        open &= ~bit
                    self.grow([*takes, (variable, number)], longer, done)
                elif way.link == NEXT:
                    open &= ~bit
        if open and takes:
            self.runs.append(_Run(open, matched, takes))
        self.runs += longer

    def variable(self, way: _Way, event: Any, seen: Seen) -> Optional[int]:
        """The first of the stage's variables that the event is."""
        pattern = self.pattern
        for variable in pattern._stages[way.target].variables:
            if pattern._conditions[variable](event, seen):
                return variable
        return None

    def grow(self, takes: list[Take], longer: list[_Run], done: list[list[Take]]) -> None:
        """A run that took one more event, and the match that it may be at once."""
        ways = self.pattern._ways(takes)
        open = sum(way.bit for way in ways)
        last = ways[-1]
        matched = last.target == self.end and not last.nots and not last.greedy
        if matched:
            open &= ~last.bit
            done.append(takes)
        if open:
            longer.append(_Run(open, matched, takes))

    def complete(self, done: list[list[Take]], moment: int) -> None:
        """Adds what became a match at ``moment``, and reports what can be."""
        self.held += [_Held(moment, takes) for takes in sorted(done, key=cmp_to_key(self.pattern._prefer))]
        # Stable: of the same first event, those done earlier stay in front.
        self.held.sort(key=lambda held: held.start)
        self.release()

    def release(self) -> None:
        """Reports matches in the order of their first events.

        Where a match can rule out others that began later, none is reported before everything that began earlier is decided.
        """
        waits = self.pattern._skip not in (NONE, TO_NEXT)
        while self.held:
            if waits and self.runs and self.runs[0].start < self.held[0].start:
                return
            at, takes = self.held.pop(0)
            self.step.matches.append(self.found(takes, at))
            self.prune(takes)

    def prune(self, takes: list[Take]) -> None:
        """Ends what may not be reported after this match."""
        kind, name = self.pattern._skip
        if kind == "none":
            return
        first, last = takes[0][1], takes[-1][1]
        if kind in ("to-next", "past-last"):
            resume = first + 1 if kind == "to-next" else last + 1
        else:
            named = [number for variable, number in takes if self.pattern._names[variable] == name]
            resume = first if not named else named[0] if kind == "to-first" else named[-1]
        self.runs = [run for run in self.runs if not first <= run.start < resume]
        self.expired = [run for run in self.expired if not first <= run.start < resume]
        self.held = [held for held in self.held if not first <= held.start < resume]

    def bound(self, now: int) -> None:
        """Holds to the limit."""
        while sum(len(run.takes) for run in self.runs) + sum(len(held.takes) for held in self.held) > self.pattern._limit:
            if not self.pattern._evict or not self.runs:
                raise PatternFull(self.pattern._limit)
            oldest = self.runs.pop(0)
            self.step.evicted.append(self.found(oldest.takes, now))
            self.release()

    def found(self, takes: list[Take], at: int) -> Found:
        names = self.pattern._names
        return Found(at, [Taken(names[variable], *self.get(number)) for variable, number in takes])

    def settle(self, now: int) -> None:
        """Writes the state."""
        state = self.state
        if not self.runs and not self.held:
            State.__init__(state)
            return
        used = {number for each in [*self.runs, *self.held] for _, number in each.takes}
        events = state._events if self.new is None else [*state._events, self.new]
        state._events = [event for event in events if event[0] in used]
        state._next += self.new is not None
        state._shape, state._clock = self.pattern.shape(), now
        state._runs, state._held = self.runs, self.held


class Kept:
    """A pattern that remembers, per key, under one name: a state field and a timer are called so. Made by ``Pattern.kept``.

    Its clock is ``clock.now``: the time of the event, or of the timer.
    """

    def __init__(self, pattern: Pattern, name: str) -> None:
        self._pattern = pattern
        self._field = Value(name)

    def advance(self, event: Any) -> Step:
        """Takes one event of the current key. Matches and timeouts may also come of time that passed before it.

        Raises PatternError, PatternFull, and what state and timers refuse.
        """
        return self._step(False, lambda state: self._pattern.advance(state, event, clock.now()))

    def on_timer(self, timer: Timer) -> Step:
        """Handles a timer of the plugin. One of another name is not the pattern's, and brings nothing about.

        Raises as ``advance`` does.
        """
        if timer.name != self._field.name:
            return Step([], [], [])
        return self._step(True, lambda state: self._pattern.on_time(state, timer.due_ns))

    def _step(self, fired: bool, change: Callable[[State], Step]) -> Step:
        stored = self._field.get()
        state = State() if stored is None else State.load(stored)
        # A timer that fired is gone, even if the same time is due as before: `within` may be longer than when it was set.
        before = None if fired else self._pattern.due(state)
        step = change(state)
        timers.move_to(self._field.name, before, self._pattern.due(state))
        if not state.is_idle:
            self._field.set(state.dump())
        elif stored is not None:
            self._field.delete()
        return step
