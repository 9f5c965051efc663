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

# Calls of the SDK, of Python's library and of generated bindings say nothing about the author's code.
_foreign: tuple[str, ...] = (
    os.path.dirname(__file__) + os.sep,
    os.path.dirname(os.__file__) + os.sep,
    "<frozen",
    # Where componentize-py puts Python's library, its own and the bindings.
    "/python/",
    "/bundled/",
    "/world/",
)
_HAS_QUALIFIED_NAMES = sys.version_info >= (3, 11)


class NotAPlugin(Exception):
    """The author's file is not what a plugin is."""


def hide(file: str) -> None:
    """Leaves the calls of a file out of every trace."""
    global _foreign
    _foreign = (*_foreign, file)


def message(err: BaseException) -> str:
    """``ValueError: boom``."""
    if isinstance(err, NotAPlugin):
        return str(err)
    name = type(err).__name__
    try:
        told = str(err)
    except BaseException:  # The author's __str__ can do anything.
        told = "(its text cannot be told)"
    if len(told) > MOST_CHARACTERS:
        told = told[:MOST_CHARACTERS] + "…"
    return clean(f"{name}: {told}" if told else name)


def trace(err: BaseException) -> str:
    """The author's calls, innermost first, each ``function (file.py:12)`` on a line; then those of its cause."""
    lines: list[str] = []
    seen: set[int] = set()
    here: Optional[BaseException] = err
    while here is not None and id(here) not in seen and len(lines) < MOST_FRAMES:
        seen.add(id(here))
        if here is not err:
            lines.append(f"caused by {message(here)}")
        lines += _calls(here.__traceback__)[: MOST_FRAMES - len(lines)]
        here = here.__cause__ or (None if here.__suppress_context__ else here.__context__)
    return clean("\n".join(lines))


def _calls(traceback: Optional[TracebackType]) -> list[str]:
    runs: list[tuple[str, int]] = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if not code.co_filename.startswith(_foreign):
            name = code.co_qualname if _HAS_QUALIFIED_NAMES else code.co_name
            call = f"{name.replace('<locals>.', '')} ({shown(code.co_filename)}:{traceback.tb_lineno or 0})"
            if runs and runs[-1][0] == call:
                runs[-1] = (call, runs[-1][1] + 1)
            else:
                runs.append((call, 1))
                del runs[:-MOST_FRAMES]
        traceback = traceback.tb_next
    return [call if times == 1 else f"{call} {times:,} times" for call, times in reversed(runs)]


def shown(file: str) -> str:
    """A file's name without the folder it was imported from."""
    roots = [root for root in sys.path if root and file.startswith(root + os.sep)]
    return file[len(max(roots, key=len)) + 1 :] if roots else file


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
