"""How many different members: exact while few, then HyperLogLog."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from math import inf, log, sqrt
from typing import Any, Union

EXACT = 256
"""The most members that are counted exactly: their hashes then fill 2 KiB, half of what the registers take."""
_INDEX_BITS = 12
_REGISTERS = 1 << _INDEX_BITS
_RANK_BITS = 64 - _INDEX_BITS
_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_VALUES = {digit: value for value, digit in enumerate(_DIGITS)}
_HASH_DIGITS = 11
_MASK = (1 << 64) - 1


class Distinct:
    """How many different members there were.

    Exact up to 256; past that HyperLogLog (Flajolet et al. 2007) with 4,096 registers and the estimator of Ertl ("New
    cardinality estimation algorithms for HyperLogLog sketches", 2017), whose standard error is 1.6 % at any count. What is
    kept depends on the set of members only, not on their order.
    """

    __slots__ = ("_hashes", "_registers")

    def __init__(self) -> None:
        self._hashes = array("Q")
        self._registers = bytearray()

    def add(self, member: Union[str, bytes]) -> None:
        """Adds a member: text, or any bytes."""
        self._insert(_hash(member.encode() if isinstance(member, str) else bytes(member)))

    def get(self) -> int:
        """How many different members there were, or the estimate of it."""
        return len(self._hashes) if self.is_exact else _estimate(self._registers)

    @property
    def is_exact(self) -> bool:
        """Whether the count is exact."""
        return not self._registers

    def merge(self, other: Distinct) -> None:
        """Takes in all that another has seen."""
        if other._registers:
            self._to_registers()
            self._registers = bytearray(map(max, self._registers, other._registers))
        for hashed in other._hashes:
            self._insert(hashed)

    def dump(self) -> Any:
        """What is stored: ``{"h": hashes}`` while exact, else ``{"r": registers}``."""
        if self.is_exact:
            return {"h": "".join(map(_digits, self._hashes))}
        return {"r": "".join([_DIGITS[rank] for rank in self._registers])}

    def load(self, stored: Any) -> Distinct:
        """One of this kind from what is stored. Raises ValueError if it is something else."""
        made = Distinct()
        try:
            (kind, text), *rest = stored.items()
            if kind == "h" and len(text) % _HASH_DIGITS == 0 and not rest:
                hashes = (_number(text[at : at + _HASH_DIGITS]) for at in range(0, len(text), _HASH_DIGITS))
                made._hashes = array("Q", sorted(set(hashes)))
                return made
            if kind == "r" and len(text) == _REGISTERS and not rest:
                made._registers = bytearray([_VALUES[digit] for digit in text])
                return made
        except (AttributeError, KeyError, TypeError, ValueError):
            pass
        raise ValueError("not what a distinct count is stored as")

    def _insert(self, hashed: int) -> None:
        if self._registers:
            _raise(self._registers, hashed)
            return
        place = bisect_left(self._hashes, hashed)
        if place == len(self._hashes) or self._hashes[place] != hashed:
            self._hashes.insert(place, hashed)
            if len(self._hashes) > EXACT:
                self._to_registers()

    def _to_registers(self) -> None:
        if not self._registers:
            self._registers = bytearray(_REGISTERS)
            for hashed in self._hashes:
                _raise(self._registers, hashed)
            self._hashes = array("Q")


def _hash(data: bytes) -> int:
    """FNV-1a of 64 bits, mixed by the finalizer of MurmurHash3."""
    hashed = 0xCBF29CE484222325
    for byte in data:
        hashed = (hashed ^ byte) * 0x100000001B3 & _MASK
    hashed = (hashed ^ hashed >> 33) * 0xFF51AFD7ED558CCD & _MASK
    hashed = (hashed ^ hashed >> 33) * 0xC4CEB9FE1A85EC53 & _MASK
    return hashed ^ hashed >> 33


def _raise(registers: bytearray, hashed: int) -> None:
    """Raises the register of a hash to its rank: one more than the zeros that its other bits begin with."""
    rank = _RANK_BITS + 1 - (hashed & ((1 << _RANK_BITS) - 1)).bit_length()
    index = hashed >> _RANK_BITS
    if rank > registers[index]:
        registers[index] = rank


def _estimate(registers: bytearray) -> int:
    """The improved raw estimator, algorithm 6 of Ertl's paper.

    It only adds, multiplies, divides and takes square roots, which IEEE 754 defines to the last bit: all languages find the
    same number.
    """
    of_rank = [0] * (_RANK_BITS + 2)
    for rank in registers:
        if rank < len(of_rank):
            of_rank[rank] += 1
    zeros, *ranks, highest = of_rank
    m = float(_REGISTERS)
    z = m * _tau(1.0 - highest / m)
    for count in reversed(ranks):
        z = 0.5 * (z + count)
    z += m * _sigma(zeros / m)
    return int(m * m / (2.0 * log(2.0) * z) + 0.5)


def _sigma(x: float) -> float:
    """x + x² + 2 x⁴ + 4 x⁸ + ..., until it stands still."""
    if x >= 1.0:
        return inf
    y, z = 1.0, x
    while True:
        x *= x
        before = z
        z += x * y
        y += y
        if z <= before:
            return z


def _tau(x: float) -> float:
    """One third of 1 - x - (1 - √x)² / 2 - (1 - ⁴√x)² / 4 - ..., until it stands still."""
    if x <= 0.0 or x >= 1.0:
        return 0.0
    y, z = 1.0, 1.0 - x
    while True:
        x = sqrt(x)
        before = z
        y *= 0.5
        z -= (1.0 - x) * (1.0 - x) * y
        if z >= before:
            return z / 3.0


def _digits(hashed: int) -> str:
    """A hash as the base64 of its eight bytes, the highest first, without padding: ten digits of six bits, then one of four."""
    return "".join([_DIGITS[hashed >> (58 - 6 * place) & 63] for place in range(10)]) + _DIGITS[hashed << 2 & 63]


def _number(digits: str) -> int:
    number = 0
    for digit in digits[:-1]:
        number = number << 6 | _VALUES[digit]
    return number << 4 | _VALUES[digits[-1]] >> 2
