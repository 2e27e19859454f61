"""What can be done when somebody writes to the disk that is to be read, for the very one who does."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from core.disks.logical import by_snapshot, logical_volume
from core.disks.model import Disk, Holder, Machine
from core.errors import Refused
from core.i18n import _, noted, sentences
from core.text import quoted, safe

_NAMED = 3
"""How many writers one message names."""


@dataclass(frozen=True, slots=True)
class WayOut:
    """One way to go on, with the shell lines that go it."""

    title: str
    text: str
    """Whole sentences: what it does, and what it means for the data."""
    commands: tuple[str, ...] = ()

    def told(self) -> str:
        """Its title and its sentences, as one paragraph that begins with the title."""
        return _("{title}. {text}").format(title=self.title, text=self.text)

    def sentence(self) -> str:
        """The way in one line, the commands with it."""
        return noted(self.told(), "; ".join(self.commands))

    def to_json(self) -> dict[str, Any]:
        return {"title": self.title, "text": self.text, "commands": list(self.commands)}


class InUse(Refused):
    """Somebody writes to the disk, or may: who does, and what can be done, the best way first."""

    def __init__(self, disk: Disk, holders: Sequence[Holder]) -> None:
        self.holders = tuple(holders)
        self.ways = ways_out(holders, logical_volume(disk.path))
        super().__init__(
            sentences(sentence(one, disk) for one in holders[:_NAMED]),
            _("What is read while somebody writes is inconsistent. Nothing was opened or changed."),
            self.ways[0].sentence(),
        )


def refuse_if_written(disk: Disk, found: Iterable[Holder]) -> None:
    """Raise `InUse` when one of the holders may write to the disk; readers do no harm."""
    writers = [holder for holder in found if holder.mode == "write"]
    if writers:
        raise InUse(disk, writers)


def sentence(holder: Holder, disk: Disk) -> str:
    """Who has the disk and how that is known, as a sentence for a person."""
    values = {
        "program": safe(holder.program),
        "pid": holder.pid,
        "vm": safe(holder.vm or ""),
        "path": safe(holder.file or disk.path),
        "disk": safe(disk.path),
        "place": safe(holder.through),
        "session": safe(holder.session),
    }
    if holder.session:
        return _("Session {session} of virt-salvage holds this disk: {path}.").format(**values)
    told = _template(holder).format(**values)
    if holder.file and holder.file != str(disk.path):
        told = sentences((told, _("{disk} stands on that.").format(**values)))
    return told


def _template(holder: Holder) -> str:
    if holder.evidence == "lock":
        return _(
            "A program that cannot be seen from here, in a container perhaps, has locked {place} to write."
        )
    if holder.evidence == "count":
        return _("A program that cannot be seen from here has {place} open to write.")
    if holder.evidence == "arguments":
        if holder.vm:
            return _("{vm} ({program}, pid {pid}) names this disk in its arguments: {path}.")
        return _("{program} (pid {pid}) names this disk in its arguments: {path}.")
    if holder.vm and holder.machine and holder.machine.paused:
        return _("{vm} ({program}, pid {pid}) is paused, but has this disk open for writing: {path}.")
    if holder.evidence == "hypervisor":
        return _("{vm} ({program}, pid {pid}) has this disk, as its manager says: {path}.")
    if holder.vm:
        return _("{vm} ({program}, pid {pid}) is writing to this disk: {path}.")
    if holder.pid:
        return _("{program} (pid {pid}) is writing to this disk: {path}.")
    if holder.through:
        return _("{program} ({place}) holds this disk for writing: {path}.")
    return _("{program} holds this disk for writing: {path}.")


def ways_out(holders: Iterable[Holder], volume: str = "") -> tuple[WayOut, ...]:
    """The ways for all who write, the best first: what ends the writing, then what leaves it be.

    `volume` is the name of the logical volume that they write to, if it is one.
    """
    writers = [holder for holder in holders if holder.mode == "write"]
    ending = [_ending(one) for one in writers]
    beside = [way for one in writers if one.machine for way in _beside(one.machine)]
    if any(one.vm and not one.machine for one in writers):
        beside.append(
            WayOut(
                _("Let its manager make a backup"),
                _("What libvirt or Proxmox backs up is consistent while the machine runs on: work on that."),
            )
        )
    if volume:
        beside.append(
            WayOut(
                _("Back up a snapshot of the logical volume"),
                _(
                    "The snapshot stays as the volume is at that moment, as after a power cut; the machine"
                    " runs on. It is removed when it is copied; the volume group is changed until then."
                ),
                (by_snapshot(volume),),
            )
        )
    backup = WayOut(
        _("Look at a backup instead"),
        _("A backup or snapshot that nobody writes to can be opened at once, while the machine runs on."),
    )
    return tuple(dict.fromkeys((*ending, *beside, backup)))


def _ending(holder: Holder) -> WayOut:
    """What ends the writing of one."""
    if holder.session:
        return _of_session(holder)
    if holder.vm:
        return _of_machine(holder)
    if holder.evidence in ("lock", "count"):
        return WayOut(
            _("Find who it is"),
            _(
                "Stop the container or virtual machine that uses the disk; as root and outside of containers"
                " the same command tells who it is."
            ),
        )
    if holder.pid is None:
        return WayOut(
            _("Let it go"),
            _("Unmount it or take the device down first; what is not written yet is written then."),
            holder.undo,
        )
    if holder.program == "swap":
        return WayOut(_("Let it go"), _("Take the swap space out of use first."), holder.undo)
    return WayOut(
        _("End {program} (pid {pid})").format(program=safe(holder.program), pid=holder.pid),
        _("In its own way, so that it writes out what it has."),
    )


def _of_session(holder: Holder) -> WayOut:
    command = f"virt-salvage undo {quoted(holder.session)}"
    if holder.is_alive:
        return WayOut(_("End that session"), _("Wait for it, or take down what it put up."), (command,))
    return WayOut(_("Clear up"), _("That session died; take down what it left behind."), (command,))


def _of_machine(holder: Holder) -> WayOut:
    title, machine = _("Shut the machine down"), holder.machine
    text = _("Wait until it is off; then its disk is whole and nobody writes to it.")
    if machine is None:
        return WayOut(title, text)
    name = quoted(machine.id)
    if machine.manager == "proxmox":
        return WayOut(title, text, (f"qm shutdown {name}",))
    wake = (f"virsh resume {name}",) if machine.paused else ()
    return WayOut(title, text, (*wake, f"virsh shutdown {name}"))


def _beside(machine: Machine) -> Iterator[WayOut]:
    """What leaves a machine running."""
    name = quoted(machine.id)
    if machine.manager == "proxmox":
        yield WayOut(
            _("Copy from a backup that Proxmox makes"),
            _("The machine runs on; the backup is of one moment. Restore it beside, and open that disk."),
            (f"vzdump {name} --mode snapshot",),
        )
        return
    target = machine.target or "vda"
    yield WayOut(
        _("Copy while a snapshot takes the writes"),
        _(
            "From then on the machine writes to a new file, and this one stays as it was at that moment."
            " The last command brings the writes back when the work here is done."
        ),
        (
            f"virsh snapshot-create-as {name} salvage --disk-only --atomic --no-metadata",
            f"virsh blockcommit {name} {quoted(target)} --active --pivot",
        ),
    )
