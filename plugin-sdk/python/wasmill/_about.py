"""What a plugin says about itself."""

from __future__ import annotations

from typing import Sequence


class About:
    """What a plugin says about itself: ``about = About(...)`` at the top level of its file."""

    __slots__ = ("emits", "name", "subjects", "summary", "version")

    name: str
    version: str
    summary: str
    subjects: list[str]
    emits: list[str]

    def __init__(
        self,
        name: str,
        version: str = "",
        summary: str = "",
        subjects: Sequence[str] = (),
        emits: Sequence[str] = (),
    ) -> None:
        """``subjects`` are the subject patterns it is made for, ``emits`` those it emits to.

        Raises TypeError if anything is not text.
        """
        self.name = _text("name", name)
        self.version = _text("version", version)
        self.summary = _text("summary", summary)
        self.subjects = _texts("subjects", subjects)
        self.emits = _texts("emits", emits)

    def __repr__(self) -> str:
        return f"About(name={self.name!r}, version={self.version!r})"


def _text(field: str, value: object) -> str:
    if isinstance(value, str):
        return value
    raise TypeError(f"About: {field} is {type(value).__name__}, not str")


def _texts(field: str, values: Sequence[str]) -> list[str]:
    if isinstance(values, str):
        raise TypeError(f"About: {field} is one str; write a list of them")
    return [_text(field, value) for value in values]
