"""The component's side: from the engine to the author's functions, and what comes of it back. Never imported natively."""

from __future__ import annotations

import gc
import os
import sys
from typing import Any, Callable, Optional

from componentize_py_types import Err  # type: ignore[import-not-found]
from wasmill_world.imports import types  # type: ignore[import-not-found]

from . import _trace
from ._about import About
from ._answer import answer, migrated
from ._event import Event
from ._failure import Failure, Refused, Retry
from ._host import bind, host
from ._output import Output
from .timers import Timer

# The border makes events and reads outputs by these names: with the author's classes in their place, nothing is copied
# from one record to another.
types.Event = Event
types.Output = Output
types.About = About
types.Timer = Timer

_SPARE = 1 << 20
"""Bytes that must be free again after the memory ran out; else the instance is of no more use."""


class Plugin:
    """The functions of the author's module."""

    __slots__ = ("_handle", "_migrate", "_on_timer")

    def __init__(self, module: Any) -> None:
        """Raises NotAPlugin if it has no handler, or something else in the place of a function."""
        handle = _function(module, "handle")
        if handle is None:
            raise _trace.NotAPlugin(
                "the file has no function `handle`\nhint: write `def handle(event): ...` at its top level"
            )
        self._handle = handle
        self._on_timer = _function(module, "on_timer")
        self._migrate = _function(module, "migrate")
        host.has_on_timer = self._on_timer is not None

    def handle(self, event: Event) -> list[Output]:
        """Hands an event over."""
        return _serve(self._handle, event, "handle")

    def on_timer(self, timer: Timer) -> list[Output]:
        """Hands a timer over that has come due."""
        return _serve(self._on_timer or _no_timers, timer, "on_timer")

    def migrate(self, version: str, name: str, value: bytes) -> Optional[bytes]:
        """Turns a field into the present shape; as it is, if the author has no function for that."""
        if self._migrate is None:
            return value
        try:
            return migrated(self._migrate, version, name, value)
        except BaseException as err:
            text = told(err)
        raise Err(text)


def _no_timers(timer: Timer) -> Any:
    raise LookupError(f"timer {timer.name!r} came due, and the plugin has no function `on_timer`")


def _serve(function: Callable[[Any], Any], given: Any, name: str) -> list[Output]:
    try:
        return answer(function, given, name)
    except BaseException as err:
        failure = wire(err)
    raise Err(failure)


def told(err: BaseException) -> str:
    """An exception as one text, the calls that led to it below."""
    if isinstance(err, Failure):
        return _trace.clean(err.reason)
    if isinstance(err, MemoryError):
        recover(err)
    trace = _trace.trace(err)
    return f"{_trace.message(err)}\n{trace}" if trace else _trace.message(err)


def wire(err: BaseException) -> Any:
    """An exception as a failure of the contract."""
    if isinstance(err, Failure):
        reason = _trace.clean(err.reason)
        if isinstance(err, Retry):
            return types.Failure_Retry(types.Retry(err.after_ms, reason))
        if isinstance(err, Refused) and err.may_pass:
            return types.Failure_Retry(types.Retry(None, reason))
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


def _function(module: Any, name: str) -> Optional[Callable[..., Any]]:
    found: Any = getattr(module, name, None)
    if found is None or callable(found):
        return found  # type: ignore[no-any-return]
    raise _trace.NotAPlugin(
        f"the file has a `{name}` that is no function but {type(found).__name__}\n"
        f"hint: write `def {name}(...): ...` at its top level, or name the variable otherwise"
    )


def about(module: Any) -> Optional[About]:
    """What the author's module says about itself.

    Raises NotAPlugin if its `about` is no About.
    """
    found = getattr(module, "about", None)
    if found is None or isinstance(found, About):
        return found
    raise _trace.NotAPlugin(
        f"`about` is {type(found).__name__}, not About\nhint: write `about = About(name=...)`, or name the variable otherwise"
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
