"""Snapshots of the host's logical volumes, as the undo stack knows them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from core import host, lvm
from core.cancel import CancelToken
from core.command import Command
from core.errors import SalvageError
from core.i18n import _
from core.lvm import LogicalVolume
from core.runner import SystemRunner
from core.undo.account import Entry
from core.undo.standing import Facts, Standing

_TURNS, _PAUSE = 200, 0.05
"""How often, and how many seconds apart, it is looked whether LVM still makes a dead session's snapshot."""
UNWATCHED = ("--config", "activation/monitoring=0")
"""Else LVM starts dmeventd when it resumes the volume below or its pool, and it stays; see lvm.conf(5)."""


class VolumeSnapshot:
    """A snapshot: ours if it bears the tag that only this session gives, and the UUID that LVM gave it.

    Whoever takes the tag off it takes it over: it is left alone then. It is removed by both, never by name.
    """

    outlives_boot = True
    needs: Mapping[str, type] = MappingProxyType({"group": str, "volume": str, "origin": str, "tag": str})
    knows: Mapping[str, type] = MappingProxyType({"uuid": str, "group": str, "tag": str})

    @staticmethod
    def facts(group: str, tag: str, origin: str = "") -> dict[str, Any]:
        """The tag is its name too; `origin` is the volume that it is of."""
        return {"group": group, "volume": tag, "origin": origin, "tag": tag}

    @staticmethod
    def mappings(facts: Facts) -> tuple[str, str]:
        """The beginning of the names of its own mappings, and the name of the one that LVM has below."""
        group = str(facts["group"])
        return lvm.mapped(group, facts["volume"]), lvm.mapped(group, facts["origin"]) + "-real"

    def identify(self, target: str, facts: Facts) -> dict[str, Any]:
        found = _with_tag(facts["tag"])
        return {**facts, "uuid": found[0].uuid if found else ""}

    def find(self, entry: Entry) -> str | None:
        tag, pause = entry.facts["tag"], CancelToken()
        for _turn in range(_TURNS):  # it outlives us, so that no volume is left suspended
            if not host.running("lvcreate", tag):
                break
            pause.wait(_PAUSE)
        try:
            return entry.target if _with_tag(tag) else None
        except SalvageError:
            return entry.target

    def standing(self, entry: Entry) -> Standing:
        uuid, tag = entry.identity.get("uuid"), entry.facts["tag"]
        try:
            found = _with_uuid(uuid) if uuid else _with_tag(tag)
        except SalvageError:
            return Standing.OURS  # nobody can tell: its removal then says why
        if not found:
            return Standing.GONE
        return Standing.OURS if tag in found[0].tags else Standing.FOREIGN

    def undo(self, target: str, identity: Facts) -> tuple[Command, ...]:
        which = f'lv_tags={{"{identity["tag"]}"}}'
        if uuid := identity.get("uuid"):
            which = f'lv_uuid="{uuid}" && {which}'
        return (
            Command(
                ("lvremove", "--yes", "--select", which, *UNWATCHED, identity["group"]),
                why=_("Remove the snapshot: the one with that tag, and no other volume."),
                effect=_("the volume group is as it was found"),
                unbroken=True,
                limits=None,
            ),
        )


def _with_tag(tag: str) -> list[LogicalVolume]:
    return lvm.volumes(SystemRunner(), "--select", f'lv_tags={{"{tag}"}}')


def _with_uuid(uuid: str) -> list[LogicalVolume]:
    return lvm.volumes(SystemRunner(), "--select", f'lv_uuid="{uuid}"')
