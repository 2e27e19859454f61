"""Who holds a disk, and the ways out, in words of the command line."""

from collections.abc import Iterator

from core.disks.model import Holder
from core.disks.ways_out import InUse
from core.errors import SalvageError
from core.i18n import _, listed, noted
from core.text import safe


def holder_line(holder: Holder) -> str:
    """One who holds the disk, in one line."""
    if holder.mode == "read":
        does = _("reading")
    elif holder.evidence in ("arguments", "hypervisor"):
        does = _("was given it to write")
    elif holder.machine and holder.machine.paused:
        does = _("paused, writing")
    else:
        does = _("writing")
    name = noted(holder.vm, holder.program) if holder.vm else holder.program
    if holder.evidence in ("lock", "count"):
        name = _("a program that cannot be seen from here")
    pid = _(", pid {pid}").format(pid=holder.pid) if holder.pid else ""
    whose = _(", session {id} of virt-salvage").format(id=holder.session) if holder.session else ""
    return safe(listed((noted(name + pid, holder.through) + whose, does)))


def ways_told(error: SalvageError) -> Iterator[str]:
    """The ways out of an error that has some, as lines; the commands are for a shell."""
    if not isinstance(error, InUse):
        return
    yield _("What can be done:")
    for number, way in enumerate(error.ways, 1):
        yield f"  {number}. {way.told()}"
        yield from (f"     {safe(command)}" for command in way.commands)
