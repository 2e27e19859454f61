"""Settings of devices, as the undo stack knows them."""

import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from core import loops
from core.command import Command, Variable
from core.i18n import _
from core.undo.account import Entry
from core.undo.standing import Facts, Standing

_USUAL = 1280
"""KiB that the kernel lets a device ask for unless told otherwise (block/blk.h, BLK_DEF_MAX_SECTORS_CAP)."""


class SettingKind:
    """How large the requests of a loop device may be: the kernel keeps that beyond the device's release.

    Once something else is attached to the same device, it is theirs.
    """

    outlives_boot = False
    needs: Mapping[str, type] = MappingProxyType({"device": str, "set": str, "restores": str})
    knows: Mapping[str, type] = MappingProxyType({})

    @classmethod
    def command(cls, device: str, value: str) -> Command:
        if isinstance(device, Variable):
            place = '"/sys/block/${1#/dev/}/queue/max_sectors_kb"'
            words: tuple[str, ...] = ("sh", device)
        else:
            place, words = shlex.quote(str(cls._path(device))), ()
        return Command(
            ("sh", "-c", f"echo {shlex.quote(value)} > {place}", *words),
            why=_("Let the device write in small pieces: each is written whole, or its loss is noticed."),
            effect=_("the device asks for {value} KiB at a time").format(value=value),
        )

    @staticmethod
    def _path(device: str) -> Path:
        return Path("/sys/block", device.removeprefix("/dev/"), "queue/max_sectors_kb")

    @classmethod
    def facts(cls, device: str, value: str) -> dict[str, Any]:
        path = cls._path(device)
        found = path.read_text().strip()
        if found == value:  # left by another session, whose number this one took
            largest = int(path.with_name("max_hw_sectors_kb").read_text())
            found = str(min(_USUAL, largest))
        return {
            "device": device,
            "set": value,
            "restores": found,
            "sequence": loops.node_sequence(device),
        }

    def identify(self, target: str, facts: Facts) -> dict[str, Any]:
        return {"device": facts["device"], "set": facts["set"], "restores": facts["restores"]}

    def find(self, entry: Entry) -> str | None:
        return entry.target if self._stands(entry) else None

    def _stands(self, entry: Entry) -> bool:
        path = self._path(entry.facts["device"])
        attached = loops.loop(entry.facts["device"])
        if attached and attached.sequence != entry.facts.get("sequence", attached.sequence):
            return False
        changed = entry.facts["set"] != entry.facts["restores"]
        return changed and path.exists() and path.read_text().strip() == entry.facts["set"]

    def standing(self, entry: Entry) -> Standing:
        return Standing.OURS if self._stands(entry) else Standing.GONE

    def undo(self, target: str, identity: Facts) -> tuple[Command, ...]:
        command = self.command(identity["device"], identity["restores"])
        return (replace(command, why=_("Give the device back the size of its requests.")),)
