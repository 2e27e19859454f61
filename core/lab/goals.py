"""Whether a lab's goal is reached, told by what lies in its folder and stands on the host."""

import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import groupby
from pathlib import Path

from core.i18n import _, enumerated
from core.lab import facts, staging
from core.lab.lab import Finding, Lab
from core.lab.record import Record
from core.lab.recovered import Comparison, best
from core.lab.safety import Scene, breach
from core.text import safe

_DEPTH = 4
"""How many folders below the lab's own a recovered tree may lie."""


def reached(scene: Scene, where: Path | None) -> tuple[bool, list[str], list[Finding]]:
    """Whether the goal is reached, sentences about it, and the wrong ways that the result shows."""
    kind = scene.lab.goal.kind
    if kind == "recover":
        done, told, wrong = _recovered(scene, where)
    elif kind == "clean":
        done, told, wrong = _clean(scene)
    else:
        done, told, wrong = _stopped(scene)
    if scene.lab.goal.question:
        right, sentence = _answered(scene)
        done, told = done and right, [*told, sentence]
        wrong = [*wrong, breach("misjudged")] if scene.record.misjudged else wrong
    return done, told, wrong


def answers(lab: Lab, record: Record, text: str) -> bool:
    """Whether a text answers the question of the ticket; spaces and capital letters do not count."""
    wanted = facts.filled(lab.goal.answer, record.facts)
    return " ".join(text.split()).casefold() == " ".join(wanted.split()).casefold()


def _answered(scene: Scene) -> tuple[bool, str]:
    if not scene.record.answer:
        return False, _("The question of the ticket has not been answered yet.")
    if answers(scene.lab, scene.record, scene.record.answer):
        return True, _("The question of the ticket was answered, and rightly.")
    return False, _("The answer to the question of the ticket is not right: {answer}").format(
        answer=safe(scene.record.answer)
    )


def _recovered(scene: Scene, where: Path | None) -> tuple[bool, list[str], list[Finding]]:
    told: list[str] = []
    wrong: list[Finding] = []
    whole = True
    if scene.record.handed_back:
        wrong.append(breach("gave-up"))
    for path, found in _found(scene, where):
        if not found.good:
            told.append(_("Nothing of {path} has been recovered here yet.").format(path=path))
        elif found.complete:
            told.append(_("All of {path} is back.").format(path=path))
        told += found.told() if found.good else ()
        if found.decoys:
            wrong.append(breach("decoy", enumerated(found.decoys[:3]) + "."))
        if found.followed:
            wrong.append(breach("followed", enumerated(found.followed[:3]) + "."))
        whole = whole and found.complete
    return whole and bool(told), told, wrong


def _found(scene: Scene, where: Path | None) -> Iterator[tuple[str, Comparison]]:
    decoys = {(one.group, one.path): one.mark for one in scene.record.decoys}
    tops = [where] if where else [scene.home / "recovered", *_others(scene)]
    for group, entries in groupby(scene.record.kept, key=lambda one: one.group):
        wanted = list(entries)
        tree = any(one.kind == "dir" for one in wanted) or len(wanted) > 1 or wanted[0].path.count("/") > 0
        name = os.path.basename(group.rstrip("/"))
        compared = [best(wanted, top, name if tree else None, _DEPTH) for top in tops]
        result = max(compared, key=lambda found: (len(found.good), len(found.marks)))
        yield group, result.with_decoys({path: mark for (of, path), mark in decoys.items() if of == group})


def _others(scene: Scene) -> Iterator[Path]:
    """Folders that the learner made in the lab's own, but nothing that is mounted there."""
    home = os.stat(scene.home).st_dev
    for entry in sorted(os.scandir(scene.home), key=lambda one: one.name):
        with suppress(OSError):  # what a dead program served there answers nothing
            folder = entry.is_dir(follow_symlinks=False) and entry.name != "recovered"
            if folder and entry.stat().st_dev == home:
                yield Path(entry.path)


def _clean(scene: Scene) -> tuple[bool, list[str], list[Finding]]:
    mine = [one for one in scene.record.standing if one.what == "session" and not one.foreign]
    up = [one for one in mine if staging.is_up(one, scene.state)]
    if up:
        return False, [_("What the crashed session left is still up.")], []
    return True, [_("What the crashed session left is taken down.")], []


def _stopped(scene: Scene) -> tuple[bool, list[str], list[Finding]]:
    reason = scene.record.handed_back
    if not reason:
        return False, [_("The ticket has not been answered yet.")], []
    if reason != scene.lab.goal.reason:
        return False, [_("The ticket was handed back.")], [breach("gave-up")]
    return True, [_("The ticket was handed back, for the right reason.")], []
