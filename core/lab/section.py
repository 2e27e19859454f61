"""One table of a description: its values taken out one by one, each checked, each mistake told."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from core.i18n import _, enumerated
from core.text import safe

LARGEST = 8 << 30
"""Bytes of the largest practice disk."""
_SIZE = re.compile(r"(\d{1,12})([KMG]?)")
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}

T = TypeVar("T")


class Section:
    """One table of the description: takes values out, and what is left over is a mistake."""

    def __init__(self, mistakes: list[str], name: str, table: object) -> None:
        self.mistakes, self.name = mistakes, name
        self.left: dict[str, Any] = dict(table) if isinstance(table, Mapping) else {}
        if not isinstance(table, Mapping):
            self.wrong("", _("must be a table"))

    def wrong(self, key: str, told: str) -> None:
        where = f"{self.name}.{key}" if self.name and key else self.name or key
        self.mistakes.append(f"{safe(where)}: {told}.")

    def take(self, key: str, kind: type[T], default: T | None = None) -> T:
        """The value of a key; a mistake when it is missing and there is no default, or of another kind."""
        empty: T = kind() if default is None else default
        if key not in self.left:
            if default is None:
                self.wrong(key, _("is missing"))
            return empty
        value = self.left.pop(key)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            kinds = {str: _("a text"), int: _("a whole number"), list: _("a list"), bool: _("true or false")}
            self.wrong(key, _("must be {kind}").format(kind=kinds.get(kind, kind.__name__)))
            return empty
        return value

    def number(self, key: str, least: int, most: int, default: int | None = None) -> int:
        value = self.take(key, int, default)
        if key in self.left or least <= value <= most:
            return value
        self.wrong(key, _("must be from {least} to {most}").format(least=least, most=most))
        return least

    def size(self, key: str, default: int | None = None) -> int:
        """A size such as 64M, in bytes."""
        if key not in self.left and default is not None:
            return default
        text = self.take(key, str)
        match = _SIZE.fullmatch(text)
        value = int(match[1]) * _UNITS[match[2]] if match else 0
        if not 0 < value <= LARGEST or value % 512:
            self.wrong(key, _("must be a size up to 8G in whole sectors, such as 64M"))
            return 512
        return value

    def choice(self, key: str, among: tuple[str, ...], default: str | None = None) -> str:
        value = self.take(key, str, default)
        if value in among:
            return value
        self.wrong(key, _("must be one of {names}").format(names=enumerated(among)))
        return among[0]

    def like(self, key: str, pattern: re.Pattern[str], told: str, default: str | None = None) -> str:
        value = self.take(key, str, default)
        if not pattern.fullmatch(value) and not (default is not None and value == default):
            self.wrong(key, told)
        return value

    def texts(self, key: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        values = self.take(key, list, None if default is None else list(default))
        if not all(isinstance(one, str) for one in values):
            self.wrong(key, _("must be a list of texts"))
            return ()
        return tuple(values)

    def told(self, key: str, default: str | None = None) -> str:
        """A text that is shown to a person, with the lines of the file joined to paragraphs."""
        text = self.take(key, str, default)
        return "\n".join(" ".join(part.split()) for part in re.split(r"\n\s*\n", text.strip()))

    def sections(self, key: str) -> "Iterator[Section]":
        tables = self.take(key, list, [])
        for number, table in enumerate(tables, 1):
            section = Section(self.mistakes, f"{self.name + '.' if self.name else ''}{key}[{number}]", table)
            yield section
            section.end()

    def section(self, key: str, *, needed: bool = True) -> "Section":
        table = self.left.pop(key, None)
        if table is None:
            if needed:
                self.wrong(key, _("is missing"))
            table = {}
        return Section(self.mistakes, f"{self.name + '.' if self.name else ''}{key}", table)

    def end(self) -> None:
        for key in self.left:
            self.wrong(key, _("is not known here"))
