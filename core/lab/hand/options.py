"""The options and operands of a command, as getopt(3) reads them."""

from collections.abc import Collection
from dataclasses import dataclass, field


@dataclass
class Options:
    """What stands behind a program's name. A short and a long option are what they are, ``-r``,
    ``--read-only``."""

    given: list[tuple[str, str]] = field(default_factory=list)
    operands: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, words: Collection[str], valued: Collection[str] = ()) -> "Options":
        """Read the words; options in `valued` take the next word, or what stands behind them, as value."""
        found = cls()
        rest = list(words)
        while rest:
            word = rest.pop(0)
            if word == "--":
                found.operands += rest
                break
            if word.startswith("--"):
                name, equals, value = word.partition("=")
                if not equals and name in valued and rest:
                    value = rest.pop(0)
                found.given.append((name, value))
            elif word.startswith("-") and len(word) > 1:
                found._short(word[1:], rest, valued)
            else:
                found.operands.append(word)
        return found

    def _short(self, letters: str, rest: list[str], valued: Collection[str]) -> None:
        for at, letter in enumerate(letters):
            if f"-{letter}" in valued:
                value = letters[at + 1 :] or (rest.pop(0) if rest else "")
                self.given.append((f"-{letter}", value))
                return
            self.given.append((f"-{letter}", ""))

    def has(self, *names: str) -> bool:
        return any(name in names for name, _value in self.given)

    def value(self, *names: str) -> str:
        """The last value of an option under any of its names; empty without one."""
        return next((value for name, value in reversed(self.given) if name in names), "")

    def values(self, *names: str) -> list[str]:
        return [value for name, value in self.given if name in names]
