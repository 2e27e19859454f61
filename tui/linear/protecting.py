"""Before a disk is opened, line by line: which disk is meant, which state of it, a verified backup."""

from dataclasses import replace

from core.disks.logical import logical_volume
from core.disks.model import Disk
from core.disks.naming import dest_of
from core.disks.snapshots import described
from core.errors import Ambiguous, SeveralMembers
from core.i18n import _, enumerated, listed, sentences, titled
from core.text import safe, size
from tui import plans
from tui.chosen import Protection, Wish
from tui.linear.ground import Ground
from tui.linear.talk import BACK
from tui.linear.telling import holders


def which(ground: Ground, wish: Wish, error: Ambiguous | SeveralMembers) -> Wish | None:
    """Only the person can say what the disk is: ask; None where they go back."""
    if isinstance(error, Ambiguous):
        ground.talk.say(error.paragraph())
        ways = {name: replace(wish, format=name) for name in error.formats}
        told = {name: _("Open it as {format}").format(format=name) for name in ways}
    else:
        ground.talk.say(error.what)
        ways = {name: replace(wish, member=name) for name, _length in error.members}
        told = {name: listed((safe(name), size(length))) for name, length in error.members}
    answer = ground.talk.choose(_("Which disk?"), list(told.items()), ground.asides("disk"))
    return None if answer == BACK else ways[answer]


def snapshot(ground: Ground, disk: Disk, wish: Wish) -> Wish | None:
    """Ask for the state of the disk that shall be seen; None where the person goes back."""
    now = ("now", _("The present state"))
    kept = [(f"s{shot.id}", described(shot)) for shot in disk.snapshots]
    question = _("Which state of the disk: the present one, or a snapshot in it?")
    chosen = ground.talk.choose(question, [now, *kept], ground.asides("snapshot"))
    if chosen == BACK:
        return None
    return replace(wish, snapshot=None if chosen == "now" else chosen.removeprefix("s"))


def protection(ground: Ground, disk: Disk) -> str:
    """Ask how the disk shall be protected, after what is to be known of it."""
    told = _("{disk}: {format}, {size}.").format(
        disk=disk.title, format=disk.format, size=size(disk.virtual_size)
    )
    ground.talk.say(told)
    for line in (*disk.problems, *(holders(disk.held_by)), disk.blocked):
        if line:
            ground.talk.say(line)
    choices = [
        ("read", _("Read only: nothing can be written")),
        ("overlay", _("An overlay: what is written goes there, and is thrown away at the end")),
        ("backup", _("Make a verified backup first")),
    ]
    if logical_volume(disk.path):
        told = _("Make it from a snapshot of the volume: the machine may run on, as after a power cut")
        choices.append(("frozen", told))
    if disk.snapshots:
        choices.append(("snapshot", _("Choose a snapshot, or the present state")))
        now = described(disk.snapshot) if disk.snapshot else _("the present state")
        ground.talk.say(_("Shown is: {state}").format(state=now))
    ground.coach("protect")
    asides = ground.asides("protect", plans.view(ground.flow, Protection.READ))
    return ground.talk.choose(_("How shall the disk be protected?"), choices, asides)


def backup(ground: Ground, *, frozen: bool) -> None:
    """Ask where a backup shall go, and make it; with `frozen`, from a snapshot of the logical volume."""
    asides = ground.asides("backup")
    place = ground.talk.text(_("Where shall the backup go, a file or a folder?"), asides)
    if place == BACK:
        return
    dest, road = dest_of(place), ground.flow.road()
    look = road.outlook(dest, frozen=frozen)
    ground.talk.say(sentences((look.sentence(), look.refusal)))
    plan = ground.asides("backup", plans.backup(ground.flow, dest, frozen=frozen))
    if look.refusal:
        return
    question = _("Make the snapshot and begin?") if frozen else _("Make the backup {path}?")
    if not ground.talk.sure(question.format(path=enumerated(map(safe, look.places))), plan):
        ground.talk.say(_("Nothing was copied."))
        return
    done = ground.work(_("Making the backup."), road.backup, dest, ground.talk.progress, frozen=frozen)
    for path in done.paths:
        ground.talk.say(_("Backup: {path}").format(path=safe(path)))
    for note in (*done.notes, *(titled(safe(gap.path), gap.error) for gap in done.unreadable)):
        ground.talk.say(note)
    ground.flow.backup = done.paths[0] if done.paths and not done.unreadable else None
