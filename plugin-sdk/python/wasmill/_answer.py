"""From what a handler returns to a list of outputs."""

from __future__ import annotations

from typing import Any, Callable, Iterator, Optional

from ._codec import payload
from ._output import Output, check
from .state import DROP


def answer(function: Callable[[Any], Any], given: Any, name: str) -> list[Output]:
    """Calls the plugin's function of this name with an event or a timer.

    Raises what the function raises, and TypeError if it answers with anything but outputs.
    """
    answered = function(given)
    if answered is None:
        return []
    if answered.__class__ is list:
        outputs = answered
    elif isinstance(answered, Output):
        outputs = [answered]
    elif isinstance(answered, (list, tuple, Iterator)):
        outputs = list(answered)
    else:
        raise TypeError(_misfit(name, answered))
    check(name, outputs)
    return outputs


def migrated(function: Callable[[str, str, bytes], Any], version: str, name: str, value: bytes) -> Optional[bytes]:
    """Calls the plugin's function ``migrate``; None deletes the field.

    Raises what the function raises, and TypeError if it answers with anything but bytes, text or ``DROP``.
    """
    answered = function(version, name, value)
    if answered is DROP:
        return None
    if answered is None:
        # A forgotten return must not delete what was kept for years.
        raise TypeError(f"migrate returned None for {name!r}; return the value, or state.DROP to delete the field")
    return payload("migrate", answered, "json.dumps")


def _misfit(name: str, answered: object) -> str:
    if hasattr(answered, "__await__"):
        answered.close()  # type: ignore[attr-defined]
        return f"{name} is async; write it as a plain function: it has nothing to wait for"
    return f"{name} returned {type(answered).__name__}; it returns Output, a list of them or None, or yields them"
