"""What the folder of a lab remembers of it: enough to judge, not enough to copy the answer from."""

import json
import os
import time
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from core.errors import SalvageError
from core.i18n import _
from core.lab.lab import Place, Standing
from core.lab.recovered import Kept
from core.text import safe

NAME = "lab.json"


@dataclass(frozen=True, slots=True)
class Original:
    """A file that must not change: its name in the lab's folder, and what it was when it was built."""

    name: str
    sha256: str
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Record:
    """One lab that was begun. `begun` and `ended` are seconds since 1970."""

    seed: int
    disk: str
    kept: tuple[Kept, ...]
    originals: tuple[Original, ...] = ()
    places: tuple[Place, ...] = ()
    decoys: tuple[Kept, ...] = ()
    facts: dict[str, str] = field(default_factory=dict)
    standing: tuple[Standing, ...] = ()
    way: str = "own"
    begun: float = 0.0
    hints: int = 0
    """How many were taken."""
    quizzes: dict[str, int] = field(default_factory=dict)
    """By the number of a question: how many wrong answers were given before the right one."""
    handed_back: str = ""
    """The reason for which the ticket was handed back."""
    answer: str = ""
    """The learner's answer to the question of the ticket, the last one."""
    misjudged: int = 0
    """How many answers to it were wrong."""
    given_up: bool = False
    """Whether the after-talk was heard before it was solved."""
    solved: bool = False

    @property
    def earns(self) -> bool:
        """Whether points can still be earned: it is not solved, and nobody was told how it is done."""
        return not (self.solved or self.given_up)

    @property
    def touched(self) -> bool:
        """Whether anything stands here that the learner did."""
        return bool(self.hints or self.quizzes or self.handed_back or self.answer) or not self.earns

    def seconds(self) -> float:
        """How long it has been worked on."""
        return max(0.0, time.time() - self.begun)


def read(home: Path) -> Record | None:
    """The record in a lab's folder; None without one. Raises `SalvageError` when it cannot be read."""
    try:
        return _record(json.loads((home / NAME).read_bytes()))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise cannot(home, error) from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise SalvageError(
            _("The record of the practice disk in {path} cannot be read.").format(path=safe(home)),
            _("Only the practice disk is concerned."),
            _("Start again with: virt-salvage lab reset {name}").format(name=home.name),
        ) from error


def write(home: Path, record: Record) -> None:
    """Keep the record; the one before stays until the new one is whole. Raises OSError."""
    fresh = home / f"{NAME}.new"
    fresh.write_text(json.dumps(asdict(record), ensure_ascii=False, indent=1) + "\n")
    os.replace(fresh, home / NAME)


def _record(document: dict[str, Any]) -> Record:
    parts: dict[str, type] = {
        "kept": Kept,
        "originals": Original,
        "places": Place,
        "decoys": Kept,
        "standing": Standing,
    }
    for name, kind in parts.items():
        document[name] = tuple(kind(**one) for one in document.get(name, ()))
    record = Record(**document)
    for one in fields(Record):
        plain = (int, float) if one.type is float else one.type
        if plain in (int, str, bool, (int, float)) and not isinstance(getattr(record, one.name), plain):
            raise TypeError(one.name)
    if os.path.basename(record.disk) != record.disk or not record.disk:
        raise ValueError(record.disk)
    for original in record.originals:
        if os.path.isabs(original.name) or ".." in original.name.split("/"):
            raise ValueError(original.name)
    return record


def cannot(home: Path, error: OSError) -> SalvageError:
    """A lab's folder that cannot be used."""
    return SalvageError(
        _("The practice disk's folder {path} cannot be used: {reason}.").format(
            path=safe(home), reason=error.strerror or type(error).__name__
        ),
        _("No other disk is concerned."),
        _("See to that, or choose another folder with --state-dir."),
    )
