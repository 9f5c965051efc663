"""Write Wasmill plugins in Python: a function ``handle(event)``, and unit tests that run natively.

The same file runs as a component built by ``wasmill build``, as a source plugin dropped into the plugin directory, and
in ordinary Python under a test.
"""

from . import aggregate, clock, config, join, log, lookup, pattern, random, state, timers, window
from ._about import About
from ._event import Event
from ._failure import Failure, Refused, Reject, Retry
from ._output import Output
from .timers import Timer

__all__ = [
    "About",
    "Event",
    "Failure",
    "Output",
    "Refused",
    "Reject",
    "Retry",
    "Timer",
    "aggregate",
    "clock",
    "config",
    "join",
    "log",
    "lookup",
    "pattern",
    "random",
    "state",
    "timers",
    "window",
]
__version__ = "0.1.0"
