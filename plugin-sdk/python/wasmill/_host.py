"""What the engine does for a plugin: the one place where the other modules meet it.

Inside a component ``bind`` connects it to the component's imports; in native tests ``testing.Test`` puts itself there.
"""

from __future__ import annotations

from typing import Any, Callable, NoReturn, Optional

from ._failure import Refused


def _nobody(*_: object) -> NoReturn:
    raise RuntimeError(
        "there is no engine to ask yet\n"
        "hint: call config, log, clock, random, state, timers and lookup inside handle, not at the top level of the file; "
        "in a test, make a wasmill.testing.Test first"
    )


class Host:
    """The engine's functions as attributes, set to the engine's or to a test's."""

    __slots__ = (
        "config_get",
        "config_json",
        "has_on_timer",
        "log",
        "lookup_get",
        "now",
        "random_bytes",
        "random_next",
        "state_delete",
        "state_get",
        "state_names",
        "state_set",
        "table",
        "timer_cancel",
        "timer_set",
    )

    def __init__(self) -> None:
        self.log: Callable[[int, str, list[tuple[str, str]]], None] = _nobody
        self.now: Callable[[], int] = _nobody
        self.config_get: Callable[[str], Optional[str]] = _nobody
        self.config_json: Callable[[], str] = _nobody
        self.random_next: Callable[[], int] = _nobody
        self.random_bytes: Callable[[int], bytes] = _nobody
        # Those of keyed plugins raise Refused.
        self.state_get: Callable[[str], Optional[bytes]] = _nobody
        self.state_set: Callable[[str, bytes], None] = _nobody
        self.state_delete: Callable[[str], None] = _nobody
        self.state_names: Callable[[str], list[str]] = _nobody
        self.timer_set: Callable[[str, int, bytes], None] = _nobody
        self.timer_cancel: Callable[[str], None] = _nobody
        self.lookup_get: Callable[[str, str], Optional[bytes]] = _nobody
        self.has_on_timer: bool = True
        """Whether the plugin has a function to handle timers."""
        self.table: Optional[dict[str, Any]] = None
        """The decoded config, once it was asked for."""


host = Host()
"""The engine, or its stand-in."""


def bind() -> None:
    """Connects the imports of the component that this code runs in."""
    from wasmill_world.imports import (  # type: ignore[import-not-found]
        clock,
        config,
        log,
        lookup,
        random,
        state,
        timer_control,
    )

    levels = tuple(log.Level)
    write = log.log
    host.log = lambda level, message, fields: write(levels[level], message, fields)
    host.now = clock.now
    host.config_get = config.get
    host.config_json = config.json
    host.random_next = random.next
    host.random_bytes = random.bytes
    host.state_get = _asking(state.get)
    host.state_set = _asking(state.set)
    host.state_delete = _asking(state.delete)
    host.state_names = _asking(state.names)
    host.timer_set = _asking(timer_control.set)
    host.timer_cancel = _asking(timer_control.cancel)
    host.lookup_get = _asking(lookup.get)


def _asking(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, raising Refused for the errors of the contract."""
    from componentize_py_types import Err  # type: ignore[import-not-found]

    def ask(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except Err as err:
            refused = err.value
        raise Refused(_KINDS[type(refused).__name__], getattr(refused, "value", None), arguments[0])

    return ask


_KINDS = {
    "Error_NoKey": "no-key",
    "Error_BadName": "bad-name",
    "Error_TooLarge": "too-large",
    "Error_TooMany": "too-many",
    "Error_NotGranted": "not-granted",
    "Error_NotReady": "not-ready",
}
"""The errors of the contract, as the bindings call them."""
