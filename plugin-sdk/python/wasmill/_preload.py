"""Modules that Python loads in the middle of a call. A component has no files, so they must be there from the start."""

import codecs
import importlib
import sys
from typing import Any

_ALWAYS = ["_pylong", "linecache", "stringprep", "traceback", "unicodedata", "warnings"]
_ENCODINGS = ["ascii", "cp1252", "idna", "iso8859-15", "latin-1", "punycode", "utf-16", "utf-32", "utf-8-sig"]
# Imported by the C part of the module before, at the first use.
_WITH = {
    "datetime": ["_strptime"],
    "decimal": ["numbers"],
    "statistics": ["fractions"],
    "time": ["_strptime"],
}

for _name in _ALWAYS:
    try:
        importlib.import_module(_name)
    except ImportError:  # Not every Python has each of them.
        pass
for _name in _ENCODINGS:
    codecs.lookup(_name)


def follow() -> None:
    """Loads what the modules that are here now load later, and connects ``logging`` if it is among them."""
    for name, more in _WITH.items():
        if name in sys.modules:
            for one in more:
                importlib.import_module(one)
    if "logging" in sys.modules:
        _bridge(sys.modules["logging"])


def _bridge(logging: Any) -> None:
    """Lines of the standard logging go to the engine's log, unless the author set up something else."""
    from . import log

    def emit(record: Any) -> None:
        level = min(max(record.levelno // 10, log.TRACE), log.ERROR)
        try:
            told = record.getMessage()
            if record.exc_info:
                told += "\n" + logging.Formatter().formatException(record.exc_info)
        except Exception as err:  # A bad format must not end the event, as it does not in logging.
            told = f"{record.msg} ({type(err).__name__}: {err})"
        log.write(level, told, {"logger": record.name})

    if logging.root.handlers:
        return
    handler = logging.Handler()
    handler.emit = emit
    logging.root.addHandler(handler)
    # What to show is the engine's decision.
    logging.root.setLevel(logging.DEBUG)
