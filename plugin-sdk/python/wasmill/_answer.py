"""From what a handler returns to a list of outputs."""

from __future__ import annotations

from typing import Any, Callable, Iterator

from ._event import Event
from ._output import Output, check


def answer(handle: Callable[[Event], Any], event: Event) -> list[Output]:
    """Calls the handler.

    Raises what the handler raises, and TypeError if it answers with anything but outputs.
    """
    answered = handle(event)
    if answered is None:
        return []
    if answered.__class__ is list:
        outputs = answered
    elif isinstance(answered, Output):
        outputs = [answered]
    elif isinstance(answered, (list, tuple, Iterator)):
        outputs = list(answered)
    else:
        raise TypeError(_misfit(answered))
    check(outputs)
    return outputs


def _misfit(answered: object) -> str:
    if hasattr(answered, "__await__"):
        answered.close()  # type: ignore[attr-defined]
        return "handle is async; write it as a plain function: it has nothing to wait for"
    return f"handle returned {type(answered).__name__}; it returns Output, a list of them or None, or yields them"
