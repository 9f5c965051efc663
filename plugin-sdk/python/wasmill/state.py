"""The fields stored for the current key, as bytes and as typed values over them.

What a call changes takes effect together with its outputs, once per event; no other key can be reached. A typed value is made
once, at the top level of the file, and reads and writes the field of whichever key the event has::

    visits = state.Counter("visits")

    def handle(event):
        if visits.add() == 100:
            return Output("prizes", event.key)

All languages store the same: a value as JSON, a counter as an integer, a list as an array, a map's and a set's entry as a
field named ``<name>/<entry>``.

Every access raises Refused if the plugin has no key, if the key's record would pass its limit, or for a name that is empty or
over 256 bytes. A typed value raises Retry if its field holds something else: the event is sound, and a version of the plugin
that reads the field can handle it.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any, Callable, Optional

from . import _codec
from ._failure import Retry
from ._host import host

DROP: Any = type("Drop", (), {"__repr__": lambda _: "state.DROP"})()
"""What ``migrate`` returns to delete a field."""

_INT64 = 1 << 63


def get(name: str) -> Optional[bytes]:
    """One field; None if it is not set."""
    return host.state_get(_name(name))


def set(name: str, data: _codec.Data) -> None:
    """Sets one field, to bytes or to text as UTF-8."""
    host.state_set(_name(name), _codec.payload("state.set", data, "state.Value"))


def delete(name: str) -> None:
    """Removes one field; one that is not set is no error."""
    host.state_delete(_name(name))


def names(prefix: str = "") -> list[str]:
    """The names of the fields that begin with a prefix, sorted."""
    return host.state_names(_name(prefix))


def _name(name: str) -> str:
    return _codec.name("a field's name", name)


class _Field:
    """A field that holds JSON."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = _name(name)

    def _read(self) -> Any:
        data = get(self.name)
        return _NOTHING if data is None else _decode(self.name, data)

    def _write(self, value: Any) -> None:
        host.state_set(self.name, _codec.encode(value))

    def delete(self) -> None:
        """Removes the field."""
        delete(self.name)

    def __repr__(self) -> str:
        return f"state.{type(self).__name__}({self.name!r})"


_NOTHING: Any = object()


def _decode(name: str, data: bytes) -> Any:
    try:
        return _codec.decode(data)
    except _codec.Unreadable as err:
        raise Retry(f"state field `{name}` {err}") from None


def _misfit(name: str, kind: str, found: Any) -> Retry:
    return Retry(f"state field `{name}` holds {type(found).__name__}, not {kind}")


class Value(_Field):
    """A field that holds one value: anything with a JSON form."""

    __slots__ = ("_default",)

    def __init__(self, name: str, default: Any = None) -> None:
        """``default`` is the value of a field that is not set.

        Raises TypeError or ValueError if it has no JSON form.
        """
        super().__init__(name)
        # Every read gives one of its own: what an author adds to it must not be there for the next key.
        self._default = _codec.encode(default)

    def get(self) -> Any:
        """The value."""
        data = get(self.name)
        return _decode(self.name, self._default if data is None else data)

    def set(self, value: Any) -> None:
        """Sets the value. Raises TypeError or ValueError if it has no JSON form."""
        self._write(value)

    def update(self, change: Callable[[Any], Any]) -> Any:
        """Sets the value to what ``change`` makes of it, and returns that."""
        value = change(self.get())
        self.set(value)
        return value


class Counter(_Field):
    """A field that holds a whole number, from zero."""

    __slots__ = ()

    def get(self) -> int:
        """The count."""
        count = self._read()
        if count is _NOTHING:
            return 0
        if count.__class__ is not int:
            raise _misfit(self.name, "a whole number", count)
        return count

    def add(self, more: int = 1) -> int:
        """Adds to the count and returns it. It stays at the largest or smallest number of 64 bits."""
        count = self.get() + more
        if count.__class__ is not int:
            raise TypeError(f"state: a counter takes whole numbers, not {type(more).__name__}")
        self.set(count)
        return min(max(count, -_INT64), _INT64 - 1)

    def set(self, count: int) -> None:
        """Sets the count."""
        self._write(min(max(int(count), -_INT64), _INT64 - 1))


class List(_Field):
    """A field that holds the last few of the values that were appended."""

    __slots__ = ("most",)

    def __init__(self, name: str, most: int) -> None:
        """``most`` is how many it keeps, from 1. Raises ValueError if it is less."""
        super().__init__(name)
        if most < 1:
            raise ValueError(f"state.List({name!r}) would keep {most} values")
        self.most = most

    def get(self) -> list[Any]:
        """The values, the oldest first."""
        values = self._read()
        if values is _NOTHING:
            return []
        if values.__class__ is not list:
            raise _misfit(self.name, "a list", values)
        return values

    def append(self, value: Any) -> int:
        """Appends a value, drops the oldest ones beyond ``most``, and returns how many there are."""
        values = [*self.get(), value][-self.most :]
        self._write(values)
        return len(values)

    def set(self, values: Any) -> None:
        """Replaces the values, of which the last are kept."""
        self._write(list(values)[-self.most :])

    def __iter__(self) -> Iterator[Any]:
        return iter(self.get())

    def __len__(self) -> int:
        return len(self.get())


class _Entries:
    """Fields whose names begin with a name and a slash."""

    __slots__ = ("name",)

    name: str

    def __init__(self, name: str) -> None:
        self.name = _name(name)

    def _entry(self, key: str) -> str:
        return f"{self.name}/{_codec.name('an entry', key)}"

    def __iter__(self) -> Iterator[str]:
        start = len(self.name) + 1
        return iter([name[start:] for name in names(f"{self.name}/")])

    def __len__(self) -> int:
        return len(names(f"{self.name}/"))

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and get(self._entry(key)) is not None

    def clear(self) -> None:
        """Removes all entries."""
        for name in names(f"{self.name}/"):
            delete(name)

    def __repr__(self) -> str:
        return f"state.{type(self).__name__}({self.name!r})"


class Map(_Entries, MutableMapping[str, Any]):
    """Values by text, each entry a field of its own: used as a dict, in order of the keys."""

    __slots__ = ()

    def __getitem__(self, key: str) -> Any:
        name = self._entry(key)
        data = get(name)
        if data is None:
            raise KeyError(key)
        return _decode(name, data)

    def __setitem__(self, key: str, value: Any) -> None:
        host.state_set(self._entry(key), _codec.encode(value))

    def __delitem__(self, key: str) -> None:
        if key not in self:
            raise KeyError(key)
        delete(self._entry(key))


class Set(_Entries):
    """Texts, each once, each a field of its own, in order."""

    __slots__ = ()

    def add(self, member: str) -> bool:
        """Adds a member. Whether it is new."""
        if member in self:
            return False
        host.state_set(self._entry(member), b"true")
        return True

    def discard(self, member: str) -> bool:
        """Removes a member. Whether it was there."""
        if member not in self:
            return False
        delete(self._entry(member))
        return True
