"""Quantiles of any numbers, within a relative error."""

from __future__ import annotations

import struct
from math import isfinite
from typing import Any, Optional

_SHIFT = 46
"""The bits of a double below those that name its bucket: the exponent and six bits of the mantissa are left, which makes 64
buckets between a power of two and the next."""
BUCKETS = 1_024
"""The most buckets beside that of zero: 16 powers of two, so values that differ by a factor of 65,536."""


class Quantile:
    """Quantiles: median, 99th percentile and so on, of positive and negative numbers.

    An answer is within 0.8 % of a value that was added at that rank; the least and the greatest are exact. What is kept
    depends on the values only, not on their order.

    This is DDSketch (Masson, Rim, Lee 2019) whose buckets are cut linearly between powers of two, so that a bucket's number
    is the head of the double's bits and no logarithm is needed. Past 1,024 buckets the values nearest to zero count as zero:
    values of one sign that differ by a factor of up to 65,536 keep their precision.
    """

    __slots__ = ("_buckets", "_ends")

    def __init__(self) -> None:
        self._ends: Optional[tuple[float, float]] = None
        self._buckets: dict[int, int] = {}

    def add(self, value: float) -> None:
        """Adds a value; one that is not finite is left out."""
        value = float(value)
        if isfinite(value):
            self._widen(value, value)
            self._count(_bucket(value), 1)

    def get(self, q: float) -> Optional[float]:
        """The value that the fraction ``q`` of the values, 0 to 1, does not pass; None of nothing.

        That of rank ``q * (n - 1)``, rounded down.
        """
        if self._ends is None:
            return None
        least, greatest = self._ends
        last = len(self) - 1
        rank = int(min(max(q, 0.0), 1.0) * last)
        if rank == 0 or rank >= last:
            return least if rank == 0 else greatest
        found = greatest
        below = 0
        for bucket in sorted(self._buckets):
            below += self._buckets[bucket]
            if below > rank:
                found = _middle(bucket)
                break
        return min(max(found, least), greatest)

    def __len__(self) -> int:
        """How many values were added."""
        return sum(self._buckets.values())

    def merge(self, other: Quantile) -> None:
        """Takes in all that another has seen."""
        if other._ends is not None:
            self._widen(*other._ends)
        for bucket, count in sorted(other._buckets.items()):
            self._count(bucket, count)

    def dump(self) -> Any:
        """What is stored: None of nothing, else ``{"m": [least, greatest], "b": [bucket, count, ...]}``."""
        if self._ends is None:
            return None
        return {"m": list(self._ends), "b": [number for pair in sorted(self._buckets.items()) for number in pair]}

    def load(self, stored: Any) -> Quantile:
        """One of this kind from what is stored. Raises ValueError if it is something else."""
        made = Quantile()
        if stored is None:
            return made
        try:
            least, greatest = stored["m"]
            made._ends = (float(least), float(greatest))
            flat = stored["b"]
            for bucket, count in zip(flat[::2], flat[1::2], strict=True):
                if bucket.__class__ is not int or count.__class__ is not int or abs(bucket) >= 1 << 17 or count < 0:
                    raise ValueError
                made._count(bucket, count)
        except (KeyError, TypeError, ValueError):
            raise ValueError("not what a quantile is stored as") from None
        return made

    def _widen(self, least: float, greatest: float) -> None:
        low, high = self._ends or (least, greatest)
        self._ends = (min(low, least), max(high, greatest))

    def _count(self, bucket: int, more: int) -> None:
        self._buckets[bucket] = self._buckets.get(bucket, 0) + more
        if len(self._buckets) > BUCKETS:
            self._give_up_smallest()

    def _give_up_smallest(self) -> None:
        """Which buckets are left depends on those ever used only: always the 1,024 furthest from zero."""
        used = [bucket for bucket in self._buckets if bucket]
        if len(used) > BUCKETS:
            # Of two as near, the negative one.
            smallest = min(used, key=lambda bucket: (abs(bucket), bucket))
            self._buckets[0] = self._buckets.get(0, 0) + self._buckets.pop(smallest)


def _bucket(value: float) -> int:
    (bits,) = struct.unpack("<Q", struct.pack("<d", abs(value)))
    head: int = bits >> _SHIFT
    return -head if value < 0.0 else head


def _middle(bucket: int) -> float:
    if bucket == 0:
        return 0.0
    (size,) = struct.unpack("<d", struct.pack("<Q", abs(bucket) << _SHIFT | 1 << (_SHIFT - 1)))
    return -size if bucket < 0 else size  # type: ignore[no-any-return]
