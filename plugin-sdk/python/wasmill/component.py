"""The component of a plugin: what ``componentize-py`` builds around the author's file ``plugin.py``."""

from . import _preload  # noqa: I001 isort: skip (before the author's code, which may rely on it)
import plugin  # type: ignore[import-not-found]

from ._about import About
from ._event import Event
from ._output import Output
from ._serve import about, find, serve, settle

_preload.follow()
_handle = find(plugin)
_about = about(plugin)


class Handler:
    """The contract's export ``handler``."""

    def handle(self, event: Event) -> "list[Output]":
        """Handles one event."""
        return serve(_handle, event)


class Description:
    """The contract's export ``description``."""

    def describe(self) -> About:
        """What the plugin says about itself."""
        return _about or About(name=plugin.__name__)


settle()
