"""Slots of the network block devices that a server of ours fills, as the undo stack knows them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from core import host, slots
from core.command import Command, Variable
from core.i18n import _
from core.undo.account import Entry
from core.undo.standing import Facts, Standing

SERVER = "qemu-nbd"


class SlotKind:
    """A slot: ours while the very process serves it that this session started for it.

    The process is known by an argument that only this session gives; from then on by its number and start.
    A slot of the same number that anybody else serves is nothing of ours, and is not disconnected.
    """

    outlives_boot = False
    needs: Mapping[str, type] = MappingProxyType({"slot": str, "argument": str})
    knows: Mapping[str, type] = MappingProxyType({"pid": int, "started": int})

    @staticmethod
    def facts(slot: str, argument: str) -> dict[str, Any]:
        return {"slot": slot, "argument": argument}

    def identify(self, target: str, facts: Facts) -> dict[str, Any]:
        serving = host.running(SERVER, facts["argument"])
        return {"pid": serving[0], "started": host.started(serving[0]) or 0} if serving else {}

    def find(self, entry: Entry) -> str | None:
        return entry.target if host.running(SERVER, entry.facts["argument"]) else None

    def standing(self, entry: Entry) -> Standing:
        return Standing.OURS if self._serves(entry.identity) else Standing.GONE

    @staticmethod
    def _serves(identity: Facts) -> bool:
        return "pid" in identity and host.runs(identity["pid"], identity["started"])

    def undo(self, target: str, identity: Facts) -> tuple[Command, ...]:
        pid = identity.get("pid")
        if not isinstance(pid, Variable):
            if not self._serves(identity):
                return ()
            if identity.get("deaf") or slots.server(target) != pid:
                return (
                    Command(
                        ("kill", "-KILL", str(pid)) if identity.get("deaf") else ("kill", str(pid)),
                        why=_("End the server that was started for the slot."),
                        effect=_("the server is gone"),
                    ),
                )
        return (
            Command(
                (SERVER, "--disconnect", target),
                why=_("Take the disk off the network block device; its server ends."),
                effect=_("the slot is free again"),
            ),
        )


def is_claimed(entry: Entry) -> bool:
    """Whether a mount or a device stands on a slot of ours: disconnected, it would lose its disk."""
    pid = entry.identity.get("pid")
    ours = "slot" in entry.facts and pid is not None and slots.server(entry.target) == pid
    return ours and slots.is_claimed(entry.target)
