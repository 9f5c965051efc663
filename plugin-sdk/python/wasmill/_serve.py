"""The component's side: events from the engine to a handler, and what comes of it back. Never imported natively."""

from __future__ import annotations

import gc
import os
import sys
from typing import Any, Callable, Optional

from componentize_py_types import Err  # type: ignore[import-not-found]
from wasmill_world.imports import types  # type: ignore[import-not-found]

from . import _trace
from ._about import About
from ._answer import answer
from ._event import Event
from ._failure import Failure, Retry
from ._host import bind
from ._output import Output

# The border makes events and reads outputs by these names: with the author's classes in their place, nothing is copied
# from one record to another.
types.Event = Event
types.Output = Output
types.About = About

_SPARE = 1 << 20
"""Bytes that must be free again after the memory ran out; else the instance is of no more use."""


def serve(handle: Callable[[Event], Any], event: Event) -> list[Output]:
    """Calls the handler; what it raises becomes a failure of the contract."""
    try:
        return answer(handle, event)
    except BaseException as err:
        failure = wire(err)
    raise Err(failure)


def wire(err: BaseException) -> Any:
    """An exception as a failure of the contract."""
    if isinstance(err, Failure):
        reason = err.reason.encode("utf-8", "replace").decode()
        if isinstance(err, Retry):
            return types.Failure_Retry(types.Retry(err.after_ms, reason))
        return types.Failure_Reject(reason)
    if isinstance(err, MemoryError):
        recover(err)
    return types.Failure_Exception(types.Exception(_trace.message(err), _trace.trace(err)))


def recover(err: MemoryError) -> None:
    """Frees what the failed call held; ends the instance if that does not help.

    The engine replaces an instance that ended. One that lives on without memory would fail every event after this one.
    """
    _trace.release(err)
    gc.collect()
    try:
        bytearray(_SPARE)
    except MemoryError:
        os.abort()


def find(module: Any) -> Callable[[Event], Any]:
    """The handler of the author's module.

    Raises NotAPlugin if there is none.
    """
    handle: Any = getattr(module, "handle", None)
    if callable(handle):
        return handle  # type: ignore[no-any-return]
    found = "no function `handle`" if handle is None else f"a `handle` that is no function but {type(handle).__name__}"
    raise _trace.NotAPlugin(f"the file has {found}\nhint: write `def handle(event): ...` at its top level")


def about(module: Any) -> Optional[About]:
    """What the author's module says about itself.

    Raises NotAPlugin if its `about` is no About.
    """
    told = getattr(module, "about", None)
    if told is None or isinstance(told, About):
        return told
    raise _trace.NotAPlugin(
        f"`about` is {type(told).__name__}, not About\nhint: write `about = About(name=...)`, or name the variable otherwise"
    )


def settle(finder: Any) -> None:
    """Ends the start of a component, before its memory becomes the image that every instance begins with.

    ``finder`` is the last to be asked for a module.
    """
    bind()
    sys.meta_path.append(finder)
    gc.collect()
    # What exists now lives as long as the instance: collections need not walk it, and so do not touch its pages.
    gc.freeze()
