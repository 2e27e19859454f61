"""What a practice disk is, as one immutable description: what is built, what is broken, what is asked for.

A description is read from a file (`core.lab.reading`), whoever wrote it. Its texts are shown through
`core.i18n._` and may hold places such as ``{disk}`` or ``{p5.offset}``, see `core.lab.facts`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from core.lab.recovered import Kept

Way = Literal["guided", "own", "hand"]
"""With the wizard and a coach, with the wizard alone, with the plain commands."""
Table = Literal["msdos", "gpt", "none"]
Step = Literal["disk", "protect", "partitions", "volume", "files", "done", "leftovers"]
"""Where in the wizard a coach speaks or a question is asked: its steps, and the list of what was left up."""
Kind = Literal["recover", "stop", "clean"]
"""What a lab asks for: bring files back, hand the ticket back untouched, take leftovers down."""

STEPS: tuple[Step, ...] = ("disk", "protect", "partitions", "volume", "files", "done", "leftovers")
FOUND = "found"
"""Where only a coach speaks: at the partitions, when the disk was searched."""
WAYS: tuple[Way, ...] = ("guided", "own", "hand")


@dataclass(frozen=True, slots=True)
class PartitionPlan:
    """A partition: from `start` to `end` in sectors, or `size` bytes somewhere behind the one before.

    `gap` is how many MiB at most the seed leaves free before it.
    """

    number: int
    type: str
    start: int = 0
    end: int = 0
    size: int = 0
    gap: int = 0


@dataclass(frozen=True, slots=True)
class VolumePlan:
    """A logical volume; `number` stands for it wherever a partition's number can stand.

    `gap` is how many MiB at most the seed leaves free before it.
    """

    number: int
    name: str
    size: int
    gap: int = 0


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """A volume group of LVM in one partition."""

    partition: int
    name: str
    volumes: tuple[VolumePlan, ...]


@dataclass(frozen=True, slots=True)
class CryptPlan:
    """A partition that is encrypted with LUKS; `number` stands for what is inside."""

    partition: int
    number: int


@dataclass(frozen=True, slots=True)
class MirrorPlan:
    """Two partitions as the halves of an md mirror; `number` stands for what both hold.

    The second half dropped out long ago: what stands in it is older.
    """

    partitions: tuple[int, int]
    number: int
    name: str


@dataclass(frozen=True, slots=True)
class FilesPlan:
    """One file, a link or a folder to plant; `size` bytes of chance where there is no text."""

    partition: int
    path: str
    text: str = ""
    size: int = 0
    link: str = ""
    folder: bool = False
    mode: int = 0o644
    owner: int = 0


@dataclass(frozen=True, slots=True)
class FileSystemPlan:
    """A file system in a partition (0: on the whole disk), with trees by name; see `core.lab.trees`."""

    partition: int
    type: str
    label: str
    block: int
    trees: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DiskPlan:
    """The disk as the machine saw it. A `size` of 0 bytes is as much as the partitions need."""

    name: str
    format: str
    table: Table
    size: int = 0


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing that happens to the disk after it was built; see `core.lab.damage` for the verbs."""

    do: str
    values: Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Goal:
    """What the lab asks for.

    With ``recover``, everything at and below `paths` of a partition; with ``stop``, that the ticket is
    handed back for the `reason`, one of `core.lab.stopping`. Where there is a `question`, the ticket wants
    its `answer` too.
    """

    kind: Kind
    partition: int = 0
    paths: tuple[str, ...] = ()
    reason: str = ""
    question: str = ""
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Hint:
    """A help that costs points."""

    text: str
    cost: int


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer to a question, and why it is right or wrong."""

    text: str
    right: bool
    why: str


@dataclass(frozen=True, slots=True)
class Quiz:
    """A question at the moment of a decision."""

    step: Step
    question: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Advice:
    """What the coach says at a step: what to look at, why, what next.

    `linear` are other words for some of these where the wizard goes line by line: without a picture and
    with other keys. An empty one is left out there.
    """

    look: str
    why: str
    next: str
    linear: Mapping[str, str] = field(default_factory=dict)

    def part(self, name: str, *, linear: bool) -> str:
        """One of the three texts, as it is said on a screen or line by line."""
        text: str = getattr(self, name)
        return self.linear.get(name, text) if linear else text


@dataclass(frozen=True, slots=True)
class Wrong:
    """A way that harms, what comes of it, and commands that go it."""

    kind: str
    told: str
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class After:
    """What is told when all is over. `wizard` are moves of `core.lab.moves`, `commands` lines for the
    shell."""

    happened: str
    safe: str
    wizard: tuple[str, ...]
    commands: tuple[str, ...]
    reading: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lab:
    """One exercise.

    `needs` names what the host must have beyond the packages of the program, see `core.lab.needs`;
    `minutes` is the time in which it earns all points for time.
    """

    name: str
    title: str
    level: int
    minutes: int
    needs: tuple[str, ...]
    ways: tuple[Way, ...]
    ticket: str
    attachments: Mapping[str, str]
    disk: DiskPlan
    partitions: tuple[PartitionPlan, ...]
    groups: tuple[GroupPlan, ...]
    crypts: tuple[CryptPlan, ...]
    mirrors: tuple[MirrorPlan, ...]
    file_systems: tuple[FileSystemPlan, ...]
    files: tuple[FilesPlan, ...]
    damages: tuple[Damage, ...]
    goal: Goal
    hints: tuple[Hint, ...]
    guide: Mapping[str, Advice]
    """By the step, or `FOUND`."""
    quizzes: tuple[Quiz, ...]
    wrongs: tuple[Wrong, ...]
    after: After
    source: str = ""
    """The text that it was read from: a lab that is begun keeps it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a partition lies, in sectors of 512 bytes; `end` is its last one.

    A logical volume is one too, with its place on the disk; what is encrypted has none, and begins at 0.
    """

    number: int
    start: int
    end: int
    type: str

    @property
    def sectors(self) -> int:
        return self.end - self.start + 1

    @property
    def offset(self) -> int:
        """Bytes from the start of the disk."""
        return self.start * 512


@dataclass(frozen=True, slots=True)
class Standing:
    """Something of the lab that is up on the host and is no leftover of the learner: what its reset takes
    down.

    `what` is ``process``, ``mount`` or ``session``; `target` the place or the session's name.
    """

    what: str
    target: str
    pid: int = 0
    started: int = 0
    foreign: bool = False
    """Whether it is somebody else's at work, which the learner must leave alone."""


@dataclass(frozen=True, slots=True)
class Built:
    """A disk that has been built, and what the learner shall bring back from it.

    `originals` are the files that must not change, the disk's own among them.
    """

    disk: Path
    kept: tuple[Kept, ...]
    places: tuple[Place, ...] = ()
    originals: tuple[Path, ...] = ()
    decoys: tuple[Kept, ...] = ()
    """Older or other states of what is wanted: how to know that somebody brought back those."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """Names and numbers that the texts of the lab tell."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A wrong way that was gone: its kind, one of `core.lab.safety`, a sentence, and the points that it
    costs."""

    kind: str
    text: str
    cost: int


@dataclass(frozen=True, slots=True)
class Points:
    """Where the points come from. Safety weighs most: 50 of 100."""

    goal: int
    safety: int
    time: int
    hints: int
    """What the hints cost."""

    @property
    def total(self) -> int:
        return max(0, self.goal + self.safety + self.time - self.hints)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a lab is solved, what there is to say about it, and the points that it earns when it is."""

    solved: bool
    findings: tuple[str, ...]
    breaches: tuple[Finding, ...] = ()
    points: Points | None = None
