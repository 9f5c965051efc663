"""Lines in the engine's log, marked by the engine with the plugin and the event.

``log.info("over the limit", payment=id, amount=amount)``: a message, and named values that belong to it.

Lines of the standard ``logging`` module, and what ``print`` writes, arrive there as well.
"""

from ._host import host

TRACE, DEBUG, INFO, WARN, ERROR = range(5)
"""How much a line matters."""


def trace(message: str, /, **fields: object) -> None:
    """Writes a line for the author: every step."""
    write(TRACE, message, fields)


def debug(message: str, /, **fields: object) -> None:
    """Writes a line for the author."""
    write(DEBUG, message, fields)


def info(message: str, /, **fields: object) -> None:
    """Writes a line for the operator, when all is well."""
    write(INFO, message, fields)


def warn(message: str, /, **fields: object) -> None:
    """Writes a line that says something is odd."""
    write(WARN, message, fields)


def error(message: str, /, **fields: object) -> None:
    """Writes a line that says something failed."""
    write(ERROR, message, fields)


def write(level: int, message: object, fields: "dict[str, object]") -> None:
    """Writes one line of a level. The functions named after the levels call it."""
    host.log(level, text(message), [(text(name), text(value)) for name, value in fields.items()] if fields else [])


def text(value: object) -> str:
    """A value as text that can cross the border to the engine: lone surrogates cannot."""
    told = str(value)
    return told if told.isascii() else told.encode("utf-8", "replace").decode()
