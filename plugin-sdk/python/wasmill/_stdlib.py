"""Python's own library, made at home in a component. Never imported natively.

Imported before the author's code, which may take names out of the modules that it changes.
"""

from __future__ import annotations

import codecs
import importlib
import random as _random
import sys
import weakref  # Componentize-py's runtime takes it from the loaded modules.
from importlib.machinery import PathFinder
from typing import Any

from ._host import host

# What C code imports in the middle of a call. A component has no files, so it must be there from the start.
_ALWAYS = ["_pylong", "linecache", "stringprep", "traceback", "unicodedata", "warnings"]
_WITH = {"datetime": ["_strptime"], "decimal": ["numbers"], "time": ["_strptime"]}
_ENCODINGS = ["ascii", "cp1252", "idna", "iso8859-15", "latin-1", "punycode", "utf-16", "utf-32", "utf-8-sig"]


class EventRandom(_random.Random):
    """The standard generator, drawing from the engine: another delivery of the same event draws the same numbers."""

    def random(self) -> float:
        """The next number in [0, 1)."""
        return (host.random_next() >> 11) * 2**-53

    def getrandbits(self, k: int, /) -> int:
        """The next ``k`` bits."""
        if k < 0:
            raise ValueError("number of bits must be non-negative")
        if k <= 64:
            return host.random_next() >> (64 - k)
        return int.from_bytes(self.randbytes((k + 7) // 8), "little") >> (-k % 8)

    def randbytes(self, n: int) -> bytes:
        """The next ``n`` bytes."""
        from . import random

        return random.bytes(n)

    def seed(self, *_: object, **__: object) -> None:
        """Does nothing: the event is the seed."""


def _prepare() -> None:
    for name in _ALWAYS:
        importlib.import_module(name)
    for name in _ENCODINGS:
        codecs.lookup(name)
    shared = EventRandom()
    _random._inst = shared
    for name in dir(_random):
        if getattr(getattr(_random, name), "__self__", None).__class__ is _random.Random:
            setattr(_random, name, getattr(shared, name))


_prepare()


def finish() -> None:
    """Follows the author's code, once it is loaded, with what it will need."""
    for name, more in _WITH.items():
        if name in sys.modules:
            for one in more:
                importlib.import_module(one)
    if "logging" in sys.modules:
        _bridge(sys.modules["logging"])


class Late:
    """The last to be asked for a module: says why it cannot be had."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> None:
        """Never finds one.

        Raises ModuleNotFoundError with a hint for a module of the top level.
        """
        if path is None and PathFinder.find_spec(name) is None:
            raise ModuleNotFoundError(
                f"No module named {name!r}\n"
                "hint: a component holds the modules that were imported when it was built; "
                "import it at the top level of the file",
                name=name,
            )


def _bridge(logging: Any) -> None:
    """Lines of the standard logging go to the engine's log, unless the author set up something else."""
    from . import log

    def emit(record: Any) -> None:
        level = min(max(record.levelno // 10, log.TRACE), log.ERROR)
        try:
            told = record.getMessage()
            if record.exc_info:
                told += "\n" + logging.Formatter().formatException(record.exc_info)
        except Exception as err:  # A bad format does not end the event: nor does it end a program.
            told = f"{record.msg} ({type(err).__name__}: {err})"
        log.write(level, told, {"logger": record.name})

    if logging.root.handlers:
        return
    handler = logging.Handler()
    handler.emit = emit
    logging.root.addHandler(handler)
    # What to show is the engine's decision.
    logging.root.setLevel(logging.DEBUG)
