"""What was typed at the prompt of a lab: one JSON object a line in its folder, for the check at the end."""

import json
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

NAME = "by-hand.jsonl"


@dataclass(frozen=True, slots=True)
class Typed:
    """One command. `kinds` are the wrong ways that it goes, see `core.lab.safety`; None: it was not run."""

    line: str
    kinds: tuple[str, ...]
    status: int | None
    made: tuple[str, ...] = ()
    """What is at the top of the lab's folder since then: a reset takes it away."""
    when: float = field(default_factory=time.time)


@dataclass(frozen=True, slots=True)
class History:
    """All that was typed, the first first."""

    typed: tuple[Typed, ...]

    @classmethod
    def of(cls, home: Path) -> "History":
        """The history in a lab's folder; lines that cannot be read are passed over."""
        try:
            lines = (home / NAME).read_text(errors="replace").splitlines()
        except OSError:
            return cls(())
        found = []
        for line in lines:
            try:
                facts = json.loads(line)
                kinds = tuple(map(str, facts.pop("kinds")))
                made = tuple(map(os.path.basename, facts.pop("made", ())))
                found.append(Typed(kinds=kinds, made=made, **facts))
            except (ValueError, TypeError, KeyError, AttributeError):
                continue
        return cls(tuple(found))

    @property
    def made(self) -> set[str]:
        """The names of all that was made at the top of the lab's folder."""
        return {name for one in self.typed for name in one.made if name}

    def first(self, kind: str) -> str:
        """The first line that went that wrong way; what reaches outside counts although it was not run."""
        for one in self.typed:
            if kind in one.kinds and (one.status is not None or kind == "outside"):
                return one.line
        return ""


def add(home: Path, typed: Typed) -> None:
    """Write a command down. Raises OSError."""
    with open(home / NAME, "ab") as sink:
        sink.write(json.dumps(asdict(typed)).encode() + b"\n")
        sink.flush()
        os.fsync(sink.fileno())
