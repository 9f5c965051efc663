"""Runs a plugin given as Python source: the app that componentize-py builds into the runner component."""

import linecache
import sys
from itertools import islice
from types import ModuleType

from wasmill._stdlib import finish, prepare

prepare()

from componentize_py_types import Err  # noqa: E402
from wasmill import _trace  # noqa: E402
from wasmill._about import About  # noqa: E402
from wasmill._event import Event  # noqa: E402
from wasmill._output import Output  # noqa: E402
from wasmill._serve import about, find, recover, serve, settle  # noqa: E402
from wasmill_world.exports.script import Fault  # noqa: E402
from wasmill_world.imports import source  # noqa: E402

import library  # noqa: E402

_handle = None
"""The author's handler, once the source has run."""


class Handler:
    """The contract's export ``handler``."""

    def handle(self, event: Event) -> "list[Output]":
        """Handles one event."""
        return serve(_handle or _first, event)


class Script:
    """The export that the engine tries a source with."""

    def load(self) -> "About | None":
        """Runs the top level of the source."""
        file = None
        try:
            file = source.read()
            return about(run(file))
        except BaseException as err:
            fault = to_fault(err, file)
        raise Err(fault)


def _first(event: Event) -> "object":
    run(source.read())
    return _handle(event)


def run(file) -> ModuleType:
    """Compiles the source, runs its top level and remembers its handler.

    Raises what the source raises, and LookupError if it has no handler.
    """
    global _handle
    code = compile(file.text, file.name, "exec", dont_inherit=True)
    lines = file.text.splitlines(keepends=True)
    linecache.cache[file.name] = (len(file.text), None, lines, file.name)
    module = ModuleType("plugin")
    module.__file__ = file.name
    # Dataclasses and the like look their module up by name.
    sys.modules["plugin"] = module
    exec(code, module.__dict__)
    _handle = find(module)
    return module


def to_fault(err: BaseException, file) -> Fault:
    """Why the source cannot run, and where."""
    if isinstance(err, MemoryError):
        recover(err)
    name = file.name if file else ""
    line, column = place(err, name)
    lines = file.text.splitlines() if file else []
    excerpt = lines[line - 1] if 0 < line <= len(lines) else ""
    told = err.msg if isinstance(err, SyntaxError) and err.filename == name else None
    message = f"{type(err).__name__}: {told}" if told else _trace.message(err)
    if isinstance(err, LookupError) and err.args and not err.__traceback__:
        message = str(err.args[0])
    return Fault(_trace.clean(message), line, column, _trace.clean(excerpt[:500]), _trace.trace(err))


def place(err: BaseException, name: str) -> "tuple[int, int]":
    """Line and column of an error in the source, from 1; 0 if unknown."""
    if isinstance(err, SyntaxError) and err.filename == name:
        return err.lineno or 0, err.offset or 0
    found = (0, 0)
    traceback = err.__traceback__
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if code.co_filename == name:
            column = next(islice(code.co_positions(), traceback.tb_lasti // 2, None))[2]
            found = (traceback.tb_lineno or 0, 0 if column is None else column + 1)
        traceback = traceback.tb_next
    return found


library.load()
finish()
settle(library.Library)
