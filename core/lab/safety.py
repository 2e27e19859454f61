"""What weighs most in a lab: whether anything was harmed or left behind on the way. Told by what there is."""

import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from core import host, loops, mounts
from core.i18n import N_, _, enumerated, ngettext, sentences
from core.lab import staging
from core.lab.hand.history import History
from core.lab.lab import Finding, Lab
from core.lab.record import Original, Record, cannot
from core.text import safe
from core.undo.state import StateFolder

KINDS: Mapping[str, tuple[int, str]] = {
    "written": (50, N_("The original was written to: it is no longer what it was.")),
    "touched": (15, N_("The original was opened for writing: its time of change is another.")),
    "writable": (25, N_("The original was attached so that it could be written to.")),
    "opened": (50, N_("A disk was read that should have been left alone.")),
    "others": (50, N_("Something was taken down that is somebody else's.")),
    "left-behind": (15, N_("Something was left behind on the host.")),
    "full-copy": (10, N_("A full copy of the disk lies in its folder, where none was needed.")),
    "followed": (20, N_("A link was followed out of the disk: what was recovered is a file of this host.")),
    "decoy": (0, N_("What was recovered is another state of it than the one that was asked for.")),
    "gave-up": (0, N_("The ticket was handed back although it can be solved, or for another reason.")),
    "misjudged": (5, N_("A question of the ticket was answered wrongly before.")),
    "outside": (5, N_("A command was tried that reaches outside the lab.")),
}
"""What can be found, how many of the 50 points of safety it costs, and the sentence for it."""
ONLY_IF_WARNED = frozenset({"full-copy"})
"""What is wrong only where a lab warns of it."""
FATAL = frozenset({"written", "others", "followed"})
"""After these a lab is not solved, whatever was recovered."""
_MOMENT = 2.0
"""Seconds that a device gets to go by itself."""


def breach(kind: str, more: str = "") -> Finding:
    """A finding of that kind, with what is known of it."""
    cost, sentence = KINDS[kind]
    return Finding(kind, sentences((_(sentence), more)), cost)


@dataclass(frozen=True, slots=True)
class Scene:
    """A lab's folder as it is found when it is judged."""

    lab: Lab
    home: Path
    record: Record
    state: StateFolder

    @property
    def originals(self) -> list[Path]:
        return [self.home / original.name for original in self.record.originals]


def breaches(scene: Scene) -> Iterator[Finding]:
    """What was done wrong, as far as it can be seen now or was written down."""
    history = History.of(scene.home)
    yield from _originals(scene)
    if writers := _writable(scene):
        yield breach("writable", _("Now by: {names}.").format(names=enumerated(writers)))
    elif line := history.first("writable"):
        yield breach("writable", _("It was: {line}").format(line=safe(line)))
    if scene.lab.goal.kind == "stop":
        yield from _opened(scene, history)
    for one in scene.record.standing:
        if one.foreign and not staging.is_up(one, scene.state):
            yield breach("others")
    if left := [*left_behind(scene)]:
        yield breach("left-behind", enumerated(left) + ".")
    if any(wrong.kind == "full-copy" for wrong in scene.lab.wrongs) and (copy := _full_copy(scene)):
        yield breach("full-copy", safe(copy.name) + ".")
    if line := history.first("outside"):
        yield breach("outside", _("It was: {line}").format(line=safe(line)))


def _originals(scene: Scene) -> Iterator[Finding]:
    for original in scene.record.originals:
        path = scene.home / original.name
        try:
            status = os.stat(path)
            same = sha256(path) == original.sha256
        except FileNotFoundError:
            told = _("The disk {disk} is gone. On a real case that was the only copy.").format(
                disk=safe(path)
            )
            yield Finding("written", told, KINDS["written"][0])
            continue
        except OSError as error:
            raise cannot(scene.home, error) from error
        if not same:
            yield breach("written", _harm(scene, original))
        elif status.st_mtime_ns != original.mtime_ns:
            yield breach("touched", safe(original.name) + ".")


def _harm(scene: Scene, original: Original) -> str:
    again = _("Start again with: virt-salvage lab reset {name}").format(name=scene.home.name)
    if _has_backup(scene, original):
        return sentences((_("There is a backup: it could be brought back."), again))
    lost = _("There was no backup: on a real case that may be the end of what was on it.")
    return sentences((lost, again))


def _has_backup(scene: Scene, original: Original) -> bool:
    return any(sha256(path) == original.sha256 for path in _copies(scene))


def _copies(scene: Scene) -> Iterator[Path]:
    """Whole files at the top of the lab's folder that nobody but the learner can have made."""
    originals = {original.name for original in scene.record.originals}
    for entry in sorted(os.scandir(scene.home), key=lambda one: one.name):
        with suppress(OSError):  # an export of which the daemon is dead answers nothing
            if entry.name not in originals and entry.is_file(follow_symlinks=False):
                os.stat(entry.path)
                yield Path(entry.path)


def _full_copy(scene: Scene) -> Path | None:
    whole = max((place.end + 1 for place in scene.record.places), default=0) * 512
    return next((path for path in _copies(scene) if whole and path.stat().st_size >= whole), None)


def _writable(scene: Scene) -> list[str]:
    """The loop devices that could write to an original at this moment."""
    paths = {str(path.resolve()) for path in scene.originals}
    return [one.path for one in loops.loops() if one.backing in paths and not one.read_only]


def _opened(scene: Scene, history: History) -> Iterator[Finding]:
    if line := history.first("opened"):
        yield breach("opened", _("It was: {line}").format(line=safe(line)))
    elif (scene.home / "recovered").is_dir() and any((scene.home / "recovered").iterdir()):
        yield breach("opened", _("Files of it lie in the folder for what is recovered."))


def left_behind(scene: Scene) -> Iterator[str]:
    """What is up on files or folders of the lab, and belongs to no session at work and not to the lab."""
    owned = _owned(scene)
    inside = f"{scene.home.resolve()}/"
    for mount in mounts.mounts():
        if mount.point.startswith(inside) and mount.point not in owned:
            yield _("mounted: {path}").format(path=safe(mount.point.removeprefix(inside)))
    for path in _attached(inside, owned):
        yield _("attached: {path}").format(path=path)
    daemons = [pid for pid in daemons_on(scene.home) if str(pid) not in owned]
    if daemons:
        yield ngettext("{n} program of QEMU", "{n} programs of QEMU", len(daemons)).format(n=len(daemons))


def _attached(inside: str, owned: set[str]) -> list[str]:
    """Loop devices of the lab's files; those that go by themselves get the moment that this may take.

    `umount` frees what `mount -o loop` attached, but not while somebody still looks at the device.
    """
    deadline = time.monotonic() + _MOMENT
    while True:
        found = [one for one in loops.loops() if one.backing.startswith(inside) and one.path not in owned]
        if not any(one.autoclear for one in found) or time.monotonic() > deadline:
            return [one.path for one in found]
        time.sleep(0.05)


def daemons_on(home: Path) -> Iterator[int]:
    """The programs of QEMU that have a file of the lab open; without root, those of this user."""
    inside = f"{home.resolve()}/"
    for pid, words in host.command_lines():
        if os.path.basename(words[0]) in ("qemu-storage-daemon", "qemu-nbd"):
            with suppress(OSError):  # it ended while we looked
                links = (os.readlink(one.path) for one in os.scandir(f"/proc/{pid}/fd"))
                if any(link.startswith(inside) for link in links):
                    yield pid


def _owned(scene: Scene) -> set[str]:
    """Mount points, devices and processes of sessions at work, and of what the lab itself set up."""
    owned: set[str] = set()
    staged = {one.target for one in scene.record.standing if one.what == "session" and one.foreign}
    for known in scene.state.known():
        if known.alive or known.account.session in staged:
            for entry in known.account.standing:
                owned |= {entry.target, str(entry.identity.get("pid", ""))}
    for one in scene.record.standing:
        if one.what != "session":
            owned |= {one.target, str(one.pid)}
    return owned


def sha256(path: Path) -> str:
    """The checksum of a file's bytes. Raises OSError."""
    with open(path, "rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()
