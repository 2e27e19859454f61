"""Devices of the device mapper that this program makes by tables of its own, as the undo stack knows them."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from core.command import Command
from core.i18n import _
from core.undo.account import Entry
from core.undo.standing import Facts, Standing

PREFIX = "virt-salvage-"
_SYS_BLOCK = Path("/sys/block")


def session_of(name: str) -> str:
    """The session that a mapping's name tells; empty for everybody else's."""
    path, found, rest = name.rpartition("/")[2].partition(PREFIX)
    return rest.rpartition("-")[0] if found and not path else ""


def mappings() -> dict[str, str]:
    """The UUIDs of all mappings of the host by their names, from sysfs."""
    found = {}
    for folder in sorted(_SYS_BLOCK.glob("dm-*/dm")):
        try:
            found[(folder / "name").read_text().strip()] = (folder / "uuid").read_text().strip()
        except OSError:
            continue  # it went away while we looked
    return found


class OwnMapping:
    """A mapping: ours if both its name and its UUID are those that only this session gives."""

    outlives_boot = False
    needs: Mapping[str, type] = MappingProxyType({"name": str, "uuid": str})
    knows: Mapping[str, type] = MappingProxyType({})

    @staticmethod
    def facts(name: str) -> dict[str, Any]:
        return {"name": name, "uuid": name}

    def identify(self, target: str, facts: Facts) -> dict[str, Any]:
        return {"uuid": facts["uuid"]}

    def find(self, entry: Entry) -> str | None:
        return entry.target if self.standing(entry) is Standing.OURS else None

    def standing(self, entry: Entry) -> Standing:
        uuid = mappings().get(os.path.basename(entry.target))
        if uuid is None:
            return Standing.GONE
        return Standing.OURS if uuid == entry.facts["uuid"] else Standing.FOREIGN

    def undo(self, target: str, identity: Facts) -> tuple[Command, ...]:
        # --retry: udev may look at it still, see dmsetup(8)
        return (
            Command(
                ("dmsetup", "remove", "--retry", os.path.basename(target)),
                why=_("Remove the mapping."),
                effect=_("the device is gone"),
            ),
        )
