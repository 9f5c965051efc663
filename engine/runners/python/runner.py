"""Runs a plugin given as Python source: the app that componentize-py builds into the runner component."""

import linecache
import sys
from itertools import islice
from types import ModuleType

import library
from componentize_py_types import Err
from wasmill import _stdlib, _trace
from wasmill._about import About
from wasmill._event import Event
from wasmill._output import Output
from wasmill._serve import Plugin, about, recover, settle, told, wire
from wasmill.timers import Timer
from wasmill_world.exports.script import Fault
from wasmill_world.imports import source

MOST_EXCERPT = 500
"""Characters of a line that a fault shows."""

_plugin = None
"""The author's functions, once the source has run."""


class Handler:
    """The contract's export ``handler``."""

    def handle(self, event: Event) -> "list[Output]":
        """Handles one event."""
        return (_plugin or begin(wire)).handle(event)


class Timers:
    """The contract's export ``timers``."""

    def on_timer(self, timer: Timer) -> "list[Output]":
        """Handles one due timer."""
        return (_plugin or begin(wire)).on_timer(timer)


class Migrate:
    """The contract's export ``migrate``."""

    def migrate_field(self, from_version: str, name: str, value: bytes) -> "bytes | None":
        """Turns one field into its present shape."""
        return (_plugin or begin(told)).migrate(from_version, name, value)


class Script:
    """The export that the engine tries a source with."""

    def load(self) -> "About | None":
        """Runs the top level of the source."""
        file = source.read()
        try:
            return about(run(file))
        except BaseException as err:
            fault = to_fault(err, file)
        raise Err(fault)


def begin(explain) -> Plugin:
    """Runs the source. ``explain`` makes of an exception what the contract has in its place."""
    try:
        run(source.read())
        return _plugin
    except BaseException as err:
        failure = explain(err)
    raise Err(failure)


def run(file) -> ModuleType:
    """Compiles the source, runs its top level and remembers its functions.

    Raises what the source raises, and NotAPlugin if it has no handler.
    """
    global _plugin
    code = compile(file.text, file.name, "exec", dont_inherit=True)
    lines = file.text.splitlines(keepends=True)
    linecache.cache[file.name] = (len(file.text), None, lines, file.name)
    module = ModuleType("plugin")
    module.__file__ = file.name
    # Dataclasses and the like look their module up by name.
    sys.modules["plugin"] = module
    exec(code, module.__dict__)
    _plugin = Plugin(module)
    return module


def to_fault(err: BaseException, file) -> Fault:
    """Why the source cannot run, and where."""
    if isinstance(err, MemoryError):
        recover(err)
    lines = file.text.splitlines()
    if isinstance(err, SyntaxError) and err.filename == file.name:
        message = f"{type(err).__name__}: {err.msg}"
        line, column = err.lineno or 0, err.offset or 0
    else:
        message = _trace.message(err)
        line, column = place(err, file.name, lines)
    excerpt = lines[line - 1][:MOST_EXCERPT] if 0 < line <= len(lines) else ""
    return Fault(_trace.clean(message), line, column, excerpt, _trace.trace(err))


def place(err: BaseException, name: str, lines: "list[str]") -> "tuple[int, int]":
    """Line and column, in characters, of the innermost call in the source, from 1; 0 if unknown."""
    line = column = 0
    traceback = err.__traceback__
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if code.co_filename == name:
            line = traceback.tb_lineno or 0
            start = next(islice(code.co_positions(), traceback.tb_lasti // 2, None))[2]
            column = 0
            if start is not None and 0 < line <= len(lines):
                column = len(lines[line - 1].encode()[:start].decode("utf-8", "replace")) + 1
        traceback = traceback.tb_next
    return line, column


_trace.hide(__file__)
library.load()
_stdlib.finish()
settle(library.Library)
