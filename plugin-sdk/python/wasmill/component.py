"""The component of a plugin: what ``componentize-py`` builds around the author's file ``plugin.py``."""

# isort: off
from typing import Optional

from . import _stdlib  # Before the author's code.
import plugin

# isort: on
from . import _serve
from ._about import About
from ._event import Event
from ._output import Output
from .timers import Timer

_plugin = _serve.Plugin(plugin)
_about = _serve.about(plugin) or About("")


class Handler:
    """The contract's export ``handler``."""

    def handle(self, event: Event) -> "list[Output]":
        """Handles one event."""
        return _plugin.handle(event)


class Timers:
    """The contract's export ``timers``."""

    def on_timer(self, timer: Timer) -> "list[Output]":
        """Handles one due timer."""
        return _plugin.on_timer(timer)


class Migrate:
    """The contract's export ``migrate``."""

    def migrate_field(self, from_version: str, name: str, value: bytes) -> "Optional[bytes]":
        """Turns one field into its present shape."""
        return _plugin.migrate(from_version, name, value)


class Description:
    """The contract's export ``description``."""

    def describe(self) -> About:
        """What the plugin says about itself."""
        return _about


_stdlib.finish()
_serve.settle(_stdlib.Late)
