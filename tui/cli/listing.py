"""`list`: the machines of this host with their disks, and what else can be opened."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.disks.finding import USUAL_FOLDERS, Found
from core.errors import Exit, SalvageError
from core.i18n import _, ngettext
from core.machines.inventory import Group, Member, inventory
from core.text import date, safe, size
from tui.cli.common import Context, table
from tui.machines import device_told, holders_told, machine_told, missing_told

_FIRST_LOST = 3
_Row = tuple[str, str, str, str, str, str, str]


def list_disks(context: Context) -> int:
    """`list`: the disks that can be found here; folders that are given are looked into as well."""
    groups: list[Group] = []
    rest: list[Found] = []
    lost: list[Path] = []
    for one in inventory(_folders(context.options.folders), lost):
        context.cancel.check()
        if isinstance(one, Group):
            groups.append(one)
        else:
            rest.append(one)
    if context.options.json:
        context.json(_document(groups, rest, lost))
        return Exit.DONE
    if not groups and not rest:
        context.out(_("No disk was found here. Give its path: virt-salvage inspect PATH"))
    else:
        for line in _lines(groups, rest):
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


def _document(groups: Sequence[Group], rest: Sequence[Found], lost: Sequence[Path]) -> dict[str, Any]:
    owned = [member.found.to_json() for group in groups for member in group.members if member.found]
    return {
        "machines": [group.to_json() for group in groups],
        "disks": [*owned, *(disk.to_json() for disk in rest)],
        "skipped": [str(path) for path in lost],
    }


def _lost(lost: Sequence[Path]) -> str:
    told = ngettext(
        "{count} place could not be read: {names}", "{count} could not be read: {names}", len(lost)
    )
    names = ", ".join(safe(path) for path in lost[:_FIRST_LOST]) + (", …" if len(lost) > _FIRST_LOST else "")
    return told.format(count=len(lost), names=names)


def _lines(groups: Sequence[Group], rest: Sequence[Found]) -> list[str]:
    """One table: under the name of each machine its disks, indented, then all others."""
    first = _("MACHINE") if groups else ""
    rows = [(first, _("FORMAT"), _("SIZE"), _("USED"), _("CHANGED"), _("HELD BY"), _("PATH"))]
    headings: dict[int, str] = {}
    for group in groups:
        headings[len(rows)] = machine_told(group.machine)
        rows += [_member(one) for one in group.members]
    if groups and rest:
        headings.setdefault(len(rows), _("Other disks"))
    rows += [("", *_cells(one), safe(one.path)) for one in rest]
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
        date(found.mtime) if found.kind == "image" else _("a device"),
        holders_told(found.held_by),
    )
