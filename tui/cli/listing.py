"""`list`: the machines of this host with their disks, and what else can be opened."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from core.disks.addresses import is_address
from core.disks.exports import named_exports
from core.disks.finding import USUAL_FOLDERS, Found
from core.disks.model import Disk
from core.errors import Exit, SalvageError
from core.i18n import _, enumerated, ngettext
from core.machines.inventory import Group, Member, inventory
from core.session import Session
from core.text import local_date, safe, size
from tui.cli.common import Context, table
from tui.cli.passphrases import Passphrases
from tui.machines import device_told, holders_told, machine_told, missing_told

_FIRST_LOST = 3
_Row = tuple[str, str, str, str, str, str, str]


def list_disks(context: Context) -> int:
    """`list`: the disks that can be found here; folders that are given are looked into as well.

    With addresses only what is there is shown.
    """
    groups: list[Group] = []
    rest: list[Found] = []
    lost: list[Path] = []
    places: list[str] = context.options.places
    addresses = [one for one in places if is_address(one)]
    remote = [disk for one in addresses for disk in _at_address(context, one)]
    folders = [Path(one) for one in places if one not in addresses]
    everything = inventory(_folders(folders), lost) if folders or not addresses else ()
    for one in everything:
        context.cancel.check()
        if isinstance(one, Group):
            groups.append(one)
        else:
            rest.append(one)
    if context.options.json:
        context.json(_document(groups, rest, lost, remote))
        return Exit.DONE
    if not groups and not rest and not remote:
        context.out(_("No disk was found here. Give its path: virt-salvage inspect PATH"))
    else:
        for line in _lines(groups, rest, remote):
            context.out(line)
    if lost:
        context.say(_lost(lost))
    return Exit.DONE


def _folders(given: Sequence[Path]) -> list[Path]:
    """Where to look for images; raises SalvageError for what is no folder."""
    for folder in given:
        if not folder.expanduser().is_dir():
            raise SalvageError(
                _("{path} is no folder of this host.").format(path=safe(folder)),
                remedy=_("`list` looks into folders; of one disk `virt-salvage inspect` tells more."),
            )
    return [*(given or [Path.cwd()]), *USUAL_FOLDERS]


def _at_address(context: Context, given: str) -> list[Disk]:
    """The disk at an address, or each of those that a server of NBD offers there."""
    disks: list[Disk] = []
    for one in named_exports(given, context.cancel):
        with Session(context.state, context.runner()) as session:
            keys = Passphrases((), (), (), context.cancel)
            session.ask = partial(keys.unlock, session)
            disks.append(session.select(one))
    return disks


def _document(
    groups: Sequence[Group], rest: Sequence[Found], lost: Sequence[Path], remote: Sequence[Disk]
) -> dict[str, Any]:
    owned = [member.found.to_json() for group in groups for member in group.members if member.found]
    return {
        "machines": [group.to_json() for group in groups],
        "disks": [*owned, *(disk.to_json() for disk in rest), *map(_remote_document, remote)],
        "skipped": [str(path) for path in lost],
    }


def _remote_document(disk: Disk) -> dict[str, Any]:
    return {
        "path": disk.given,
        "format": disk.format,
        "kind": "remote",
        "virtual_size": disk.virtual_size,
        "actual_size": None,
        "size": None,
        "mtime": None,
        "changed": None,
        "held_by": [],
        "vm": None,
    }


def _lost(lost: Sequence[Path]) -> str:
    told = ngettext(
        "{count} place could not be read: {names}", "{count} could not be read: {names}", len(lost)
    )
    names = enumerated(safe(path) for path in lost[:_FIRST_LOST])
    names += ", ..." if len(lost) > _FIRST_LOST else ""
    return told.format(count=len(lost), names=names)


def _lines(groups: Sequence[Group], rest: Sequence[Found], remote: Sequence[Disk]) -> list[str]:
    """One table: under the name of each machine its disks, indented, then all others."""
    first = _("MACHINE") if groups else ""
    rows = [(first, _("FORMAT"), _("SIZE"), _("USED"), _("CHANGED"), _("HELD BY"), _("PATH"))]
    headings: dict[int, str] = {}
    for group in groups:
        headings[len(rows)] = machine_told(group.machine)
        rows += [_member(one) for one in group.members]
    if groups and (rest or remote):
        headings.setdefault(len(rows), _("Other disks"))
    rows += [("", *_cells(one), safe(one.path)) for one in rest]
    away = _("at an address")
    rows += [("", one.format, size(one.virtual_size), "", away, "", safe(one.given)) for one in remote]
    if not groups:
        return table([row[1:] for row in rows], frozenset({1, 2}))
    lines = []
    for at, line in enumerate(table(rows, frozenset({2, 3}))):
        if at in headings:
            lines.append(headings[at])
        lines.append(line)
    return lines


def _member(one: Member) -> _Row:
    target = "  " + safe(one.disk.target)
    if one.found:
        format, virtual, used, changed, holders = _cells(one.found)
        kind = device_told(one.disk, format)
        return (target, kind, virtual, used, changed, holders, safe(one.found.path))
    return (target, device_told(one.disk, one.disk.format or "?"), "", "", "", "", missing_told(one))


def _cells(found: Found) -> tuple[str, str, str, str, str]:
    return (
        found.format or "?",
        size(found.virtual_size) if found.virtual_size is not None else "?",
        size(found.size),
        local_date(found.mtime) if found.kind == "image" else _("a device"),
        holders_told(found.held_by),
    )
