"""An exception as people read it: its type and text, and the author's calls that led to it."""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import Optional

MOST_FRAMES = 16
"""Lines of a trace; a recursion counts as one."""
MOST_CHARACTERS = 4_096
"""Of a message."""

# Frames of the SDK, of Python itself and of generated bindings say nothing about the author's code.
_FOREIGN = [os.path.dirname(__file__), os.path.dirname(os.__file__), "<frozen", "/bundled/", "/world"]
_ROOTS: list[str] = []


def remember_roots() -> None:
    """Fixes the folders that modules come from; names of files are shown relative to them."""
    import wasmill_world  # type: ignore[import-not-found]

    _FOREIGN.append(os.path.dirname(wasmill_world.__file__))
    _ROOTS[:] = sorted((path.rstrip("/") + "/" for path in sys.path if path), key=len, reverse=True)


def message(err: BaseException) -> str:
    """``ValueError: boom``."""
    name = type(err).__name__
    try:
        told = str(err)
    except BaseException:
        told = "(its text cannot be told)"
    if len(told) > MOST_CHARACTERS:
        told = told[:MOST_CHARACTERS] + "…"
    whole = f"{name}: {told}" if told else name
    return clean(whole)


def trace(err: BaseException) -> str:
    """The author's calls, innermost first, each ``function (file.py:12)`` on a line; then those of its cause."""
    lines: list[str] = []
    seen = set()
    here: Optional[BaseException] = err
    while here is not None and id(here) not in seen and len(lines) < MOST_FRAMES:
        seen.add(id(here))
        if here is not err:
            lines.append(f"caused by {message(here)}")
        lines += calls(here.__traceback__)[: MOST_FRAMES - len(lines)]
        here = here.__cause__ or (None if here.__suppress_context__ else here.__context__)
    return "\n".join(lines)


def calls(traceback: Optional[TracebackType]) -> list[str]:
    """The author's calls in a traceback, innermost first."""
    runs: list[tuple[str, int, str, int]] = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        line = traceback.tb_lineno or 0
        if is_authors(code.co_filename):
            if runs and runs[-1][:3] == (code.co_filename, line, code.co_qualname if HAS_QUALNAME else code.co_name):
                runs[-1] = (*runs[-1][:3], runs[-1][3] + 1)
            else:
                name = code.co_qualname if HAS_QUALNAME else code.co_name
                runs.append((code.co_filename, line, name, 1))
                del runs[:-MOST_FRAMES]
        traceback = traceback.tb_next
    return [_call(*run) for run in reversed(runs)]


HAS_QUALNAME = sys.version_info >= (3, 11)


def _call(file: str, line: int, name: str, times: int) -> str:
    name = name.replace("<locals>.", "")
    again = f" {times:,} times" if times > 1 else ""
    return f"{name} ({shown(file)}:{line}){again}"


def is_authors(file: str) -> bool:
    """Whether a file is the author's."""
    return not file.startswith(tuple(_FOREIGN))


def shown(file: str) -> str:
    """A file's name without the folder it was found in."""
    for root in _ROOTS:
        if file.startswith(root):
            return file[len(root) :]
    return file


def clean(text: str) -> str:
    """Text that can cross the border to the engine: lone surrogates cannot."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def release(err: BaseException) -> None:
    """Frees what the calls that led to an exception still hold, so that there is memory to tell of it."""
    here = err.__traceback__
    while here is not None:
        try:
            here.tb_frame.clear()
        except RuntimeError:
            pass  # It is still running: the caller's.
        here = here.tb_next
