"""What is kept of many values: counts, sums, extremes, distinct members, quantiles, the most frequent.

Each aggregate is bounded, has a compact JSON form that all languages share (``plugin-sdk/WINDOWS.md`` of Wasmill's sources), and merges
with another of its kind into what one would be that had seen both inputs. They stand in windows (``wasmill.window``), or are
kept as a state value by ``dump`` and ``load``. Several at once are a tuple or a dict of them.

========================  ====================================  ====================================  ================
aggregate                 answers                               exact                                 bound
========================  ====================================  ====================================  ================
``Count``                 how many                              yes                                   one integer
``Sum``, ``Mean``         sum, mean                             to about the last bit                 two numbers
``Min``, ``Max``          extremes                              yes                                   one number
``Distinct``              how many different members            to 256, then 1.6 % standard error     4 KiB
``Quantile``              median, 99th percentile, ...          within 0.8 % of the value             1,024 buckets
``Top``                   the labels of greatest total weight   to its capacity, then with an error   its capacity
``Largest``               the labels of greatest score          yes                                   ``n`` labels
``Rows``                  the values themselves                 the first, the others are counted     its room
========================  ====================================  ====================================  ================
"""

from __future__ import annotations

from math import copysign, isfinite, isinf
from sys import float_info
from typing import Any, Optional

from ._distinct import Distinct
from ._quantile import Quantile
from ._top import MOST, Largest, Ranked, Scored, Top, plus, whole

__all__ = [
    "Count",
    "Distinct",
    "Largest",
    "Max",
    "Mean",
    "Min",
    "Quantile",
    "Ranked",
    "Rows",
    "Scored",
    "Sum",
    "Top",
    "dump",
    "load",
    "merge",
]

class Count:
    """How many. Stored as an integer."""

    __slots__ = ("_count",)

    def __init__(self) -> None:
        self._count = 0

    def add(self, more: int = 1) -> None:
        """Counts ``more``; the count stops at the highest number of 64 bits.

        Raises Reject if it is no whole number from 0 to 2^64 - 1.
        """
        self._count = plus(self._count, whole("what is counted", more))

    def get(self) -> int:
        """The count."""
        return self._count

    def merge(self, other: Count) -> None:
        """Takes in all that another has seen."""
        self.add(other._count)

    def dump(self) -> Any:
        """What is stored."""
        return self._count

    def load(self, stored: Any) -> Count:
        """One of this kind from what is stored. Raises ValueError if it is something else."""
        if stored.__class__ is not int or not 0 <= stored <= MOST:
            raise ValueError("not what a count is stored as")
        made = Count()
        made._count = stored
        return made


class Sum:
    """A sum with the rounding error of its additions kept aside (Neumaier 1974), so that ten times 0.1 are 1.

    Stored as ``[sum, error]``.
    """

    __slots__ = ("_error", "_sum")

    def __init__(self) -> None:
        self._sum = 0.0
        self._error = 0.0

    def add(self, value: float) -> None:
        """Adds a value. One that is not finite is left out; a sum past the range of doubles stays at its end."""
        value = float(value)
        if not isfinite(value):
            return
        total = self._sum + value
        if isinf(total):
            self._sum, self._error = copysign(float_info.max, total), 0.0
            return
        if abs(self._sum) >= abs(value):
            self._error += (self._sum - total) + value
        else:
            self._error += (value - total) + self._sum
        self._sum = total

    def get(self) -> float:
        """The sum; 0 of nothing."""
        return self._sum + self._error

    def merge(self, other: Sum) -> None:
        """Takes in all that another has seen."""
        error = other._error
        self.add(other._sum)
        self.add(error)

    def dump(self) -> Any:
        """What is stored."""
        return [self._sum, self._error]

    def load(self, stored: Any) -> Sum:
        """One of this kind from what is stored. Raises ValueError if it is something else."""
        made = Sum()
        try:
            made._sum, made._error = map(_number, stored)
        except (TypeError, ValueError):
            raise ValueError("not what a sum is stored as") from None
        return made


class Mean:
    """The arithmetic mean. Stored as ``[count, [sum, error]]``."""

    __slots__ = ("_count", "_sum")

    def __init__(self) -> None:
        self._count = Count()
        self._sum = Sum()

    def add(self, value: float) -> None:
        """Adds a value; one that is not finite is left out."""
        if isfinite(value):
            self._count.add(1)
            self._sum.add(value)

    def get(self) -> Optional[float]:
        """The mean; None of nothing."""
        count = self._count.get()
        return self._sum.get() / count if count else None

    @property
    def count(self) -> int:
        """How many values it is the mean of."""
        return self._count.get()

    def merge(self, other: Mean) -> None:
        """Takes in all that another has seen."""
        self._count.merge(other._count)
        self._sum.merge(other._sum)

    def dump(self) -> Any:
        """What is stored."""
        return [self._count.dump(), self._sum.dump()]

    def load(self, stored: Any) -> Mean:
        """One of this kind from what is stored. Raises ValueError if it is something else."""
        made = Mean()
        try:
            count, summed = stored
        except (TypeError, ValueError):
            raise ValueError("not what a mean is stored as") from None
        made._count, made._sum = made._count.load(count), made._sum.load(summed)
        return made


class _Extreme:
    __slots__ = ("_value",)

    def __init__(self) -> None:
        self._value: Optional[float] = None

    @staticmethod
    def _better(value: float, kept: float) -> bool:
        raise NotImplementedError

    def add(self, value: float) -> None:
        """Adds a value; one that is not finite is left out."""
        value = float(value)
        if isfinite(value) and (self._value is None or self._better(value, self._value)):
            self._value = value

    def get(self) -> Optional[float]:
        """The value; None of nothing."""
        return self._value

    def merge(self, other: Any) -> None:
        """Takes in all that another has seen."""
        if other._value is not None:
            self.add(other._value)

    def dump(self) -> Any:
        """What is stored."""
        return self._value

    def load(self, stored: Any) -> Any:
        """One of this kind from what is stored. Raises ValueError if it is something else."""
        made = type(self)()
        made._value = None if stored is None else _number(stored)
        return made


class Min(_Extreme):
    """The least value. Stored as a number, or null of nothing."""

    __slots__ = ()

    @staticmethod
    def _better(value: float, kept: float) -> bool:
        return value < kept


class Max(_Extreme):
    """The greatest value. Stored as a number, or null of nothing."""

    __slots__ = ()

    @staticmethod
    def _better(value: float, kept: float) -> bool:
        return value > kept


class Rows:
    """The first values, in the order they came; those after them are counted.

    Stored as ``{"n": room, "r": [values], "o": counted}``.
    """

    __slots__ = ("_over", "_room", "_rows")

    def __init__(self, room: int) -> None:
        """Nothing yet, and room for so many values."""
        self._room = room
        self._rows: list[Any] = []
        self._over = 0

    def add(self, row: Any) -> None:
        """Adds a value at the end: anything with a JSON form. Without room it is only counted."""
        if len(self._rows) < self._room:
            self._rows.append(row)
        else:
            self._over += 1

    def get(self) -> list[Any]:
        """The values kept."""
        return self._rows

    @property
    def over(self) -> int:
        """How many values found no room."""
        return self._over

    def merge(self, other: Rows) -> None:
        """Takes in all that another has seen."""
        for row in list(other._rows):
            self.add(row)
        self._over += other._over

    def dump(self) -> Any:
        """What is stored."""
        return {"n": self._room, "r": list(self._rows), "o": self._over}

    def load(self, stored: Any) -> Rows:
        """One of this kind from what is stored. Raises ValueError if it is something else."""
        try:
            made = Rows(int(stored["n"]))
            made._rows, made._over = list(stored["r"]), int(stored["o"])
        except (KeyError, TypeError, ValueError):
            raise ValueError("not what rows are stored as") from None
        return made


def merge(one: Any, other: Any) -> None:
    """Takes in all that another of the same kind has seen: an aggregate, or a tuple, list or dict of them."""
    if isinstance(one, dict):
        for name in one:
            merge(one[name], other[name])
    elif isinstance(one, (tuple, list)):
        for mine, theirs in zip(one, other, strict=True):
            merge(mine, theirs)
    else:
        one.merge(other)


def dump(aggregate: Any) -> Any:
    """An aggregate, or a tuple, list or dict of them, as it is stored: a value with a JSON form."""
    if isinstance(aggregate, dict):
        return {name: dump(member) for name, member in aggregate.items()}
    if isinstance(aggregate, (tuple, list)):
        return [dump(member) for member in aggregate]
    return aggregate.dump()


def load(kind: Any, stored: Any) -> Any:
    """What was stored, as an aggregate of the same kind as another one, or as a tuple, list or dict of them.

    Raises ValueError if it is something else.
    """
    try:
        if isinstance(kind, dict):
            return {name: load(member, stored[name]) for name, member in kind.items()}
        if isinstance(kind, (tuple, list)):
            return type(kind)([load(member, value) for member, value in zip(kind, stored, strict=True)])
    except (KeyError, TypeError) as err:
        raise ValueError(f"not what these aggregates are stored as: {err}") from None
    return kind.load(stored)


def _number(stored: Any) -> float:
    if stored.__class__ is int or stored.__class__ is float:
        return float(stored)
    raise ValueError("not a number")
