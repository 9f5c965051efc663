"""The component of a plugin: what ``componentize-py`` builds around the author's file ``plugin.py``."""

# isort: off
from . import _stdlib  # Before the author's code.
import plugin

# isort: on
from . import _serve
from ._about import About
from ._event import Event
from ._output import Output

_handle = _serve.find(plugin)
_about = _serve.about(plugin) or About("")


class Handler:
    """The contract's export ``handler``."""

    def handle(self, event: Event) -> "list[Output]":
        """Handles one event."""
        return _serve.serve(_handle, event)


class Description:
    """The contract's export ``description``."""

    def describe(self) -> About:
        """What the plugin says about itself."""
        return _about


_stdlib.finish()
_serve.settle(_stdlib.Late)
