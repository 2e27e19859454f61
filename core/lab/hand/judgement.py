"""What a command would do, told before it is done."""

from dataclasses import dataclass, field
from enum import IntEnum


class Weight(IntEnum):
    """How much a remark weighs."""

    NOTE = 0
    """Worth knowing; the command is run."""
    WARNING = 1
    """It harms the practice disk: it is run only when it is given once more."""
    REFUSAL = 2
    """It reaches outside the lab, or this prompt does not do it: it is never run."""


@dataclass(frozen=True, slots=True)
class Remark:
    """A sentence about a command, and the wrong way that it goes, see `core.lab.safety`."""

    weight: Weight
    text: str
    kind: str = ""


@dataclass
class Judgement:
    """All remarks about a command. `changes` where it writes anything at all."""

    remarks: list[Remark] = field(default_factory=list)
    changes: bool = False

    def note(self, text: str) -> None:
        self.remarks.append(Remark(Weight.NOTE, text))

    def warn(self, text: str, kind: str) -> None:
        self.remarks.append(Remark(Weight.WARNING, text, kind))

    def refuse(self, text: str, kind: str = "") -> None:
        self.remarks.append(Remark(Weight.REFUSAL, text, kind))

    @property
    def weight(self) -> Weight:
        return max((remark.weight for remark in self.remarks), default=Weight.NOTE)

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(remark.kind for remark in self.remarks if remark.kind))
