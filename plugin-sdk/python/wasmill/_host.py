"""What the engine does for a plugin: the one place where the other modules meet it.

Inside a component ``bind`` connects it to the component's imports; in native tests ``testing.Test`` puts itself there.
"""

from __future__ import annotations

from typing import Any, Callable, NoReturn, Optional


def _nobody(*_: object) -> NoReturn:
    raise RuntimeError(
        "there is no engine to ask yet\n"
        "hint: call config, log, clock and random inside handle, not at the top level of the file; "
        "in a test, make a wasmill.testing.Test first"
    )


class Host:
    """The engine's functions as attributes, set to the engine's or to a test's."""

    __slots__ = ("config_get", "config_json", "log", "now", "random_bytes", "random_next", "table")

    def __init__(self) -> None:
        self.log: Callable[[int, str, list[tuple[str, str]]], None] = _nobody
        self.now: Callable[[], int] = _nobody
        self.config_get: Callable[[str], Optional[str]] = _nobody
        self.config_json: Callable[[], str] = _nobody
        self.random_next: Callable[[], int] = _nobody
        self.random_bytes: Callable[[int], bytes] = _nobody
        self.table: Optional[dict[str, Any]] = None
        """The decoded config, once it was asked for."""


host = Host()
"""The engine, or its stand-in."""


def bind() -> None:
    """Connects the imports of the component that this code runs in."""
    from wasmill_world.imports import clock, config, log, random  # type: ignore[import-not-found]

    levels = tuple(log.Level)
    write = log.log
    host.log = lambda level, message, fields: write(levels[level], message, fields)
    host.now = clock.now
    host.config_get = config.get
    host.config_json = config.json
    host.random_next = random.next
    host.random_bytes = random.bytes
