"""The labels of greatest total weight, and of greatest score, in bounded room."""

from __future__ import annotations

from math import isfinite
from typing import Any, NamedTuple, Optional

from ._failure import Reject

LABEL_BYTES = 256
"""The longest label, in bytes; a longer one is cut at the last character that fits."""
MOST = (1 << 64) - 1
"""Where counts and weights stop: other languages' numbers end there."""


def cut(label: str) -> str:
    """The label as it is kept."""
    data = label.encode()
    return label if len(data) <= LABEL_BYTES else data[:LABEL_BYTES].decode(errors="ignore")


def whole(what: str, given: Any) -> int:
    """The number, if it is a whole one from 0 to 2^64 - 1, as what is stored has no other: a key with one could not be read again.

    Raises Reject if it is something else: the event that brought it is at fault.
    """
    if given.__class__ is float and given.is_integer():
        given = int(given)
    if given.__class__ is not int or not 0 <= given <= MOST:
        raise Reject(f"{what} is a whole number from 0 to 2^64 - 1, not {given!r:.80}")
    return given  # type: ignore[no-any-return]


def plus(one: int, more: int) -> int:
    """Their sum, or the most there is."""
    return min(one + more, MOST)


class Ranked(NamedTuple):
    """A label and the weight counted for it."""

    label: str
    """What it is."""
    weight: int
    """Its weight, or more."""
    error: int
    """By how much ``weight`` may be too high; 0 means that it is exact."""


class Top:
    """The labels of greatest total weight, such as the most frequent ones.

    Exact up to ``capacity`` different labels; past that the Space-Saving summary (Metwally, Agrawal, El Abbadi 2005; merged as
    in Agarwal et al., "Mergeable Summaries", 2012): a label whose weight is over 1/``capacity`` of all is never missing, and
    each weight is told with its error. Labels of equal weight are in the order of their bytes.
    """

    __slots__ = ("_capacity", "_entries", "_floor")

    def __init__(self, capacity: int) -> None:
        """Nothing yet, and room for ``capacity`` labels; take ten times as many as shall be told."""
        self._capacity = capacity
        self._floor = 0
        self._entries: list[Ranked] = []

    def add(self, label: str, weight: int = 1) -> None:
        """Adds weight to a label: 1 for each time it comes.

        Raises Reject for a weight that is no whole number from 0 to 2^64 - 1.
        """
        label, weight = cut(label), whole("a weight", weight)
        place = self._find(label)
        if place is not None:
            entry = self._entries[place]
            self._entries[place] = entry._replace(weight=plus(entry.weight, weight))
        else:
            if len(self._entries) >= self._capacity:
                self._give_up_last()
            self._entries.append(Ranked(label, plus(weight, self._floor), self._floor))
        self._settle()

    def get(self, n: int) -> list[Ranked]:
        """The first ``n`` labels, the heaviest first."""
        return self._entries[:n]

    @property
    def is_exact(self) -> bool:
        """Whether no label was ever given up, so that all weights are exact."""
        return self._floor == 0

    def merge(self, other: Top) -> None:
        """Takes in all that another has seen."""
        mine = {entry.label for entry in self._entries}
        theirs = {entry.label: entry for entry in other._entries}
        absent = Ranked("", other._floor, other._floor)
        both = []
        for entry in self._entries:
            also = theirs.get(entry.label, absent)
            both.append(Ranked(entry.label, plus(entry.weight, also.weight), plus(entry.error, also.error)))
        for entry in other._entries:
            if entry.label not in mine:
                both.append(Ranked(entry.label, plus(entry.weight, self._floor), plus(entry.error, self._floor)))
        self._entries = both
        self._floor = plus(self._floor, other._floor)
        self._settle()

    def dump(self) -> Any:
        """What is stored: ``{"c": capacity, "f": the most that a label not listed may weigh, "e": [[label, weight, error]]}``."""
        return {"c": self._capacity, "f": self._floor, "e": [list(entry) for entry in self._entries]}

    def load(self, stored: Any) -> Top:
        """One of this kind from what is stored. Raises ValueError if it is something else."""
        try:
            made = Top(int(stored["c"]))
            made._floor = int(stored["f"])
            made._entries = [Ranked(str(label), int(weight), int(error)) for label, weight, error in stored["e"]]
        except (KeyError, TypeError, ValueError):
            raise ValueError("not what a top is stored as") from None
        return made

    def _find(self, label: str) -> Optional[int]:
        return next((place for place, entry in enumerate(self._entries) if entry.label == label), None)

    def _give_up_last(self) -> None:
        # A label given up may come again: it cannot have weighed more than this.
        if self._entries:
            self._floor = max(self._floor, self._entries.pop().weight)

    def _settle(self) -> None:
        self._entries.sort(key=lambda entry: (-entry.weight, entry.label.encode()))
        while len(self._entries) > self._capacity:
            self._give_up_last()


class Scored(NamedTuple):
    """A label and its score."""

    label: str
    """What it is."""
    score: float
    """Its greatest score."""


class Largest:
    """The ``n`` labels of greatest score.

    A label stands once, with its greatest score, so that a corrected score that can only grow, such as a count, replaces the
    one before. Labels of equal score are in the order of their bytes.
    """

    __slots__ = ("_entries", "_most")

    def __init__(self, n: int) -> None:
        """Nothing yet, and room for ``n`` labels."""
        self._most = n
        self._entries: list[Scored] = []

    def add(self, label: str, score: float) -> None:
        """Adds a label with its score; one that is not finite is left out."""
        score = float(score)
        if not isfinite(score):
            return
        label = cut(label)
        scores = dict(self._entries)
        scores[label] = max(scores.get(label, score), score)
        entries = [Scored(*entry) for entry in scores.items()]
        self._entries = sorted(entries, key=lambda entry: (-entry.score, entry.label.encode()))[: self._most]

    def get(self) -> list[Scored]:
        """The labels, the greatest score first."""
        return list(self._entries)

    def winners(self) -> list[Scored]:
        """The labels that share the greatest score."""
        return [entry for entry in self._entries if entry.score >= self._entries[0].score]

    def merge(self, other: Largest) -> None:
        """Takes in all that another has seen."""
        for entry in other._entries:
            self.add(*entry)

    def dump(self) -> Any:
        """What is stored: ``{"n": n, "e": [[label, score]]}``."""
        return {"n": self._most, "e": [list(entry) for entry in self._entries]}

    def load(self, stored: Any) -> Largest:
        """One of this kind from what is stored. Raises ValueError if it is something else."""
        try:
            made = Largest(int(stored["n"]))
            made._entries = [Scored(str(label), float(score)) for label, score in stored["e"]]
        except (KeyError, TypeError, ValueError):
            raise ValueError("not what a largest is stored as") from None
        return made
