"""What LVM itself says of the logical volumes of this host.

Its programs are started for a volume that this host has active, and only when the operator asks for a
snapshot of that; the volumes inside of a guest's disk are read by `core.volumes.lvm` alone.
"""

import json
from dataclasses import dataclass

from core.command import Command
from core.errors import SalvageError
from core.i18n import _
from core.runner import Runner

_FIELDS = (
    *("vg_name", "vg_uuid", "vg_extent_size", "vg_free_count"),
    *("lv_name", "lv_uuid", "lv_size", "segtype", "pool_lv", "lv_tags"),
)
_AS_JSON = ("--reportformat", "json", "--units", "b", "--nosuffix")


@dataclass(frozen=True, slots=True)
class LogicalVolume:
    """One logical volume and the group that it is in. Sizes in bytes."""

    group: str
    group_uuid: str
    name: str
    uuid: str
    size: int
    kind: str
    """LVM's word for its first segment: ``linear``, ``thin``, ``raid1`` …"""
    pool: str
    """The thin pool that it is in; empty for others."""
    tags: tuple[str, ...]
    extent: int
    free: int
    """Extents of the group that nothing uses."""

    @property
    def path(self) -> str:
        return f"/dev/{self.group}/{self.name}"

    @property
    def title(self) -> str:
        """As LVM names it."""
        return f"{self.group}/{self.name}"

    @property
    def mapping(self) -> str:
        """The UUID that the device mapper knows it by: lib/activate/dev_manager.c of lvm2."""
        return "LVM-" + (self.group_uuid + self.uuid).replace("-", "")

    @property
    def is_thin(self) -> bool:
        return self.kind == "thin" and bool(self.pool)


def mapped(group: str, name: str) -> str:
    """What the device mapper calls a volume: each hyphen of the two names is doubled."""
    return f"{group.replace('-', '--')}-{name.replace('-', '--')}"


def unmapped(name: str) -> tuple[str, str]:
    """The group and the volume of a mapping that LVM made; two empty texts for a name that is none."""
    group, hyphen, volume = name.replace("--", "\0").partition("-")
    return (group.replace("\0", "-"), volume.replace("\0", "-")) if hyphen else ("", "")


def volumes(runner: Runner, *which: str) -> list[LogicalVolume]:
    """The volumes that lvs(8) lists for ``VG/LV`` or for ``--select`` and a selection; it only looks.

    Raises `core.errors.ToolMissing`, `core.runner.CommandFailed` and `SalvageError`.
    """
    found = runner.run(
        Command(
            ("lvs", *_AS_JSON, "--options", ",".join(_FIELDS), *which),
            why=_("Ask LVM for the volume: its group, its kind, and how much room is there."),
        )
    )
    try:
        rows = json.loads(found.out)["report"][0]["lv"]
        return [_volume(row) for row in rows]
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise SalvageError(
            _("What lvs says of the logical volumes cannot be understood."),
            _("Nothing was changed."),
            _("Check that `lvs --reportformat json` works on this host."),
        ) from error


def _volume(row: dict[str, str]) -> LogicalVolume:
    return LogicalVolume(
        group=row["vg_name"],
        group_uuid=row["vg_uuid"],
        name=row["lv_name"],
        uuid=row["lv_uuid"],
        size=int(row["lv_size"]),
        kind=row["segtype"],
        pool=row["pool_lv"],
        tags=tuple(filter(None, row["lv_tags"].split(","))),
        extent=int(row["vg_extent_size"]),
        free=int(row["vg_free_count"]),
    )
