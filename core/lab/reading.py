"""Reads the description of a practice disk from its file, which is TOML, and tells everything that is wrong.

The format is described in ``docs/teaching.md``, with an example.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from core.errors import WrongUsage
from core.i18n import N_, _, enumerated, sentences
from core.lab import damage, fitting, moves, staging
from core.lab.lab import (
    FOUND,
    STEPS,
    WAYS,
    Advice,
    After,
    Answer,
    CryptPlan,
    Damage,
    DiskPlan,
    FilesPlan,
    FileSystemPlan,
    Goal,
    GroupPlan,
    Hint,
    Lab,
    MirrorPlan,
    PartitionPlan,
    Quiz,
    VolumePlan,
    Wrong,
)
from core.lab.safety import KINDS
from core.lab.section import LARGEST, Section
from core.lab.stopping import REASONS
from core.lab.trees import TREES
from core.text import safe

FORMAT = 1
MOST = 1 << 20
"""Bytes of the longest description."""
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
_PLACE = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]{0,59}/){0,3}[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
_FORMATS = ("raw", "qcow2", "vmdk", "vdi", "vpc", "vhdx")
_FILE_SYSTEMS = ("ext2", "ext3", "ext4", "ntfs")
_HOST_PATHS = ("/etc/shadow", "/etc/passwd", "/etc/hostname")
"""What a header may be made to point to: files whose content nothing is done with."""
SHOWN = 12
"""How many mistakes are told at once."""

Table = Mapping[str, Any]


class BadLab(WrongUsage):
    """The description of a practice disk is not one; `mistakes` are sentences."""

    def __init__(self, where: str, mistakes: list[str]) -> None:
        self.mistakes = mistakes
        more = len(mistakes) - SHOWN
        shown = mistakes[:SHOWN] + ([_("and {count} more.").format(count=more)] if more > 0 else [])
        super().__init__(
            _("{path} is no description of a practice disk: {mistakes}").format(
                path=safe(where), mistakes=sentences(shown)
            ),
            remedy=_("docs/teaching.md describes the format; `virt-salvage lab example` prints an example."),
        )


def read(path: Path) -> Lab:
    """The lab that a file describes; raises `BadLab` with all that is wrong, `WrongUsage` without a file."""
    try:
        with open(path, "rb") as source:
            data = source.read(MOST + 1)
    except OSError as error:
        raise WrongUsage(
            _("The description {path} cannot be read: {reason}.").format(
                path=safe(path), reason=error.strerror
            )
        ) from error
    return parsed(data, str(path))


def parsed(data: bytes, where: str) -> Lab:
    """The lab that a text describes; raises `BadLab`."""
    if len(data) > MOST:
        raise BadLab(where, [_("it is longer than 1 MiB.")])
    try:
        text = data.decode()
        document = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise BadLab(where, [_("it is not UTF-8.")]) from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadLab(where, [_("it is not TOML: {reason}.").format(reason=safe(str(error)))]) from error
    reader = _Reader()
    lab = reader.lab(document, text)
    if reader.mistakes or lab is None:
        raise BadLab(where, reader.mistakes)
    return lab


class _Reader:
    """Reads one description and collects what is wrong with it."""

    def __init__(self) -> None:
        self.mistakes: list[str] = []

    def lab(self, document: Table, source: str) -> Lab | None:
        top = Section(self.mistakes, "", document)
        if top.number("format", 0, 999) != FORMAT:
            top.wrong("format", _("must be {number}: this program knows no other").format(number=FORMAT))
            return None
        partitions = tuple(map(_partition, top.sections("partition")))
        goal = _goal(top.section("goal"))
        lab = Lab(
            name=top.like("name", _NAME, _("must be of small letters, digits and hyphens")),
            title=top.told("title"),
            level=top.number("level", 1, 5),
            minutes=top.number("minutes", 1, 240, 20),
            needs=tuple(top.texts("needs", ())),
            ways=tuple(one for one in WAYS if one in top.left.get("ways", WAYS)),
            ticket=top.told("ticket"),
            attachments=_attachments(top),
            disk=_disk(top.section("disk")),
            partitions=partitions,
            groups=tuple(map(_group, top.sections("lvm"))),
            crypts=tuple(
                CryptPlan(one.number("partition", 1, 128), one.number("number", 101, 999))
                for one in top.sections("luks")
            ),
            mirrors=tuple(map(_mirror, top.sections("mirror"))),
            file_systems=tuple(map(_file_system, top.sections("filesystem"))),
            files=tuple(map(_file, top.sections("file"))),
            damages=tuple(map(_damage, top.sections("damage"))),
            goal=goal,
            hints=tuple(Hint(one.told("text"), one.number("cost", 0, 50)) for one in top.sections("hint")),
            guide=_guide(top),
            quizzes=tuple(map(_quiz, top.sections("quiz"))),
            wrongs=tuple(map(_wrong, top.sections("wrong"))),
            after=_after(top.section("after")),
            source=source,
        )
        _ways(top)
        top.end()
        self.mistakes += fitting.mistakes(lab)
        return lab


def _ways(top: Section) -> None:
    for way in top.texts("ways", ()):
        if way not in WAYS:
            top.wrong("ways", _("must be some of {names}").format(names=enumerated(WAYS)))


def _attachments(top: Section) -> Mapping[str, str]:
    section = top.section("attachments", needed=False)
    for name, text in section.left.items():
        if not _FILE.fullmatch(name):
            section.wrong(name, _("must be the name of a file"))
        if not isinstance(text, str):
            section.wrong(name, _("must be {kind}").format(kind=_("a text")))
    return {name: str(text) for name, text in section.left.items()}


def _disk(section: Section) -> DiskPlan:
    plan = DiskPlan(
        section.like("name", _FILE, _("must be the name of a file")),
        section.choice("format", _FORMATS),
        section.choice("table", ("msdos", "gpt", "none")),  # type: ignore[arg-type]
        section.size("size", 0),
    )
    section.end()
    return plan


def _partition(section: Section) -> PartitionPlan:
    number, type = section.number("number", 1, 128), section.take("type", str, "83")
    if "size" in section.left:
        return PartitionPlan(number, type, size=section.size("size"), gap=section.number("gap", 0, 1024, 0))
    start = section.number("start", 1, LARGEST // 512)
    return PartitionPlan(number, type, start, section.number("end", start, LARGEST // 512))


def _group(section: Section) -> GroupPlan:
    named, told = re.compile(r"[a-z][a-z0-9_]{0,30}"), _("must be of small letters, digits and underscores")
    return GroupPlan(
        section.number("partition", 1, 128),
        section.like("group", named, told),
        tuple(
            VolumePlan(
                one.number("number", 101, 999),
                one.like("name", named, told),
                one.size("size"),
                one.number("gap", 0, 1024, 0),
            )
            for one in section.sections("volume")
        ),
    )


def _mirror(section: Section) -> MirrorPlan:
    first, second = section.number("first", 1, 128), section.number("second", 1, 128)
    name = section.like("name", re.compile(r"[a-z][a-z0-9]{0,20}"), _("must be of small letters and digits"))
    return MirrorPlan((first, second), section.number("number", 101, 999), name)


def _file_system(section: Section) -> FileSystemPlan:
    plan = FileSystemPlan(
        section.number("partition", 0, 999),
        section.choice("type", _FILE_SYSTEMS),
        section.like("label", re.compile(r"[\w.-]{0,16}"), _("must be at most 16 letters"), ""),
        section.number("block", 1024, 4096, 4096),
        section.texts("trees", ()),
    )
    if plan.block not in (1024, 2048, 4096):
        section.wrong("block", _("must be 1024, 2048 or 4096"))
    for name in plan.trees:
        if name not in TREES:
            section.wrong("trees", _("must be some of {names}").format(names=enumerated(TREES)))
    return plan


def _file(section: Section) -> FilesPlan:
    mode = section.like("mode", re.compile("0?[0-7]{3,4}"), _("must be octal, such as 0640"), "0644")
    return FilesPlan(
        section.number("partition", 0, 999),
        _guest_path(section, "path"),
        section.take("text", str, ""),
        section.size("size", 0),
        section.take("link", str, ""),
        section.take("folder", bool, False),
        int(mode, 8) if mode.isdigit() else 0o644,
        section.number("owner", 0, 65535, 0),
    )


def _guest_path(section: Section, key: str) -> str:
    path = section.take(key, str)
    if not _is_guest_path(path):
        section.wrong(key, _(_GUEST))
    return path


_GUEST = N_("must be a whole path inside the disk, such as /home/anna")


def _is_guest_path(path: str) -> bool:
    parts = path.strip("/").split("/")
    if not path.startswith("/") or not all(parts) or {".", ".."} & set(parts):
        return False
    return path.isprintable() and '"' not in path


def _damage(section: Section) -> Damage:
    """A verb with its values, each of them checked: the values reach other programs."""
    known = {**dict.fromkeys((*damage.BEFORE, *damage.AFTER)), **dict.fromkeys(staging.VERBS)}
    verb = section.choice("do", tuple(known))
    values: dict[str, str | int] = {}
    for key, read in _VALUES.get(verb, {}).items():
        values[key] = read(section, key)
    return Damage(verb, values)


def _name_value(section: Section, key: str) -> str:
    return section.like(key, _PLACE, _("must be the name of a file in the lab's folder"))


def _any_partition(section: Section, key: str) -> int:
    return section.number(key, 0, 999)


_Read = Callable[[Section, str], str | int]
_VALUES: Mapping[str, Mapping[str, _Read]] = {
    "zero": {
        "from": lambda section, key: section.number(key, -(LARGEST // 512), LARGEST // 512),
        "sectors": lambda section, key: section.number(key, 1, 1 << 20),
    },
    "cut": {"bytes": lambda section, key: section.size(key)},
    "unreplayed": {"partition": _any_partition, "path": _guest_path, "text": lambda s, key: s.take(key, str)},
    "bad-area": {"partition": _any_partition, "path": _guest_path},
    "snapshot": {"name": _name_value},
    "delete": {"partition": _any_partition, "path": _guest_path},
    "change": {
        "partition": _any_partition,
        "path": _guest_path,
        "text": lambda section, key: section.take(key, str, ""),
        "size": lambda section, key: section.size(key, 0),
    },
    "overlay": {"name": _name_value},
    "decoy": {"name": _name_value},
    "move": {"from": _name_value, "to": _name_value},
    "point": {"to": lambda section, key: section.choice(key, _HOST_PATHS)},
    "run": {},
    "little-room": {"size": lambda section, key: section.size(key)},
    "stale-half": {"partition": _any_partition, "path": _guest_path, "text": lambda s, key: s.take(key, str)},
    "leftovers": {"partition": _any_partition, "other": _any_partition},
}


def _goal(section: Section) -> Goal:
    kind = section.choice("kind", ("recover", "stop", "clean"))
    goal = Goal(
        kind,  # type: ignore[arg-type]
        section.number("partition", 0, 999, 0) if kind == "recover" else 0,
        section.texts("paths") if kind == "recover" else (),
        section.choice("reason", tuple(REASONS)) if kind == "stop" else "",
        section.told("question", ""),
        section.take("answer", str, ""),
    )
    if bool(goal.question.strip()) != bool(goal.answer.strip()):
        section.wrong("question", _("wants an answer beside it, and an answer wants a question"))
    if kind == "recover" and not goal.paths:
        section.wrong("paths", _("must name at least one path"))
    for path in goal.paths:
        if not _is_guest_path(path):
            section.wrong("paths", _(_GUEST))
    section.end()
    return goal


def _guide(top: Section) -> Mapping[str, Advice]:
    section = top.section("guide", needed=False)
    found = {}
    for step in tuple(section.left):
        if step not in (*STEPS, FOUND):
            section.wrong(step, _("must be one of {names}").format(names=enumerated((*STEPS, FOUND))))
            continue
        one = section.section(step)
        others = {name: f"linear-{name}" for name in ("look", "why", "next")}
        linear = {name: one.told(key) for name, key in others.items() if key in one.left}
        found[step] = Advice(one.told("look"), one.told("why"), one.told("next"), linear)
        one.end()
    return found


def _quiz(section: Section) -> Quiz:
    step, question = section.choice("step", STEPS), section.told("question")
    answers = tuple(
        Answer(one.told("text"), one.take("right", bool, False), one.told("why"))
        for one in section.sections("answer")
    )
    if not 2 <= len(answers) <= 5 or sum(answer.right for answer in answers) != 1:
        section.wrong("answer", _("there must be two to five, one of them with right = true"))
    return Quiz(step, question, answers)  # type: ignore[arg-type]


def _wrong(section: Section) -> Wrong:
    return Wrong(section.choice("kind", tuple(KINDS)), section.told("told"), section.texts("commands", ()))


def _after(section: Section) -> After:
    after = After(
        section.told("happened"),
        section.told("safe"),
        section.texts("wizard", ()),
        section.texts("commands", ()),
        section.texts("reading", ()),
    )
    for move in after.wizard:
        if problem := moves.problem(move):
            section.wrong("wizard", problem)
    section.end()
    return after
