"""The component of a plugin: what ``componentize-py`` builds around the author's file ``plugin.py``."""

from ._stdlib import Late, finish, prepare

prepare()

import plugin  # type: ignore[import-not-found]  # noqa: E402

from . import _serve  # noqa: E402
from ._about import About  # noqa: E402
from ._event import Event  # noqa: E402
from ._output import Output  # noqa: E402

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


finish()
_serve.settle(Late)
