"""What libparted says about a table, as a program of its own: the one importer of parted.

libparted can take its process down, so it runs as a child: ``python3 -P -m core.tables.libparted COPY
[SECTOR_SIZE]`` prints one JSON document. COPY is a table copy (see `core.tables.sectors`), never a disk:
libparted opens ``COPY1``, ``COPY2``… for writing, and resolves links.
"""

import json
import os
import sys
from typing import Any

try:
    import parted
except ImportError as error:  # a host that one file was carried to may lack libparted itself
    sys.exit(f"pyparted: {error}")

_said: list[str] = []


def _answer(kind: int, options: int, message: str) -> int:
    """libparted's questions, answered so that it goes on reading and repairs nothing; never FIX.

    An error in the table itself may not be ignored: libparted then fails an assertion and aborts.
    """
    _said.append(message)
    harmless = kind <= parted.EXCEPTION_TYPE_WARNING or options & parted.EXCEPTION_RESOLVE_FIX
    choices = [parted.EXCEPTION_RESOLVE_OK, parted.EXCEPTION_RESOLVE_NO]
    if harmless and not options & parted.EXCEPTION_RESOLVE_RETRY:
        choices.insert(0, parted.EXCEPTION_RESOLVE_IGNORE)
    answer = next((choice for choice in choices if options & choice), parted.EXCEPTION_RESOLVE_UNHANDLED)
    return int(answer)


# Once and for good: libparted keeps one handler for the process, and pyparted drops its own reference.
parted.register_exn_handler(_answer)


def _read(path: str) -> dict[str, Any]:
    device = parted.getDevice(path)
    disk = parted.newDisk(device)
    return {
        "label": disk.type,
        "sector_size": device.sectorSize,
        "partitions": [_entry(partition) for partition in disk.partitions],
    }


def _entry(partition: Any) -> dict[str, Any]:
    if partition.type & parted.PARTITION_EXTENDED:
        kind = "extended"
    else:
        kind = "logical" if partition.type & parted.PARTITION_LOGICAL else "primary"
    return {
        "number": partition.number,
        "kind": kind,
        "start": partition.geometry.start,
        "end": partition.geometry.end,
        "name": _name(partition),
        "bootable": bool(partition.getFlag(parted.PARTITION_BOOT)),
        "flags": partition.getFlagsAsString(),
    }


def _name(partition: Any) -> str | None:
    if not partition.disk.supportsFeature(parted.DISK_TYPE_PARTITION_NAME):
        return None
    try:
        return partition.name or None
    except UnicodeDecodeError:
        return None


def main(arguments: list[str]) -> None:
    """Print what libparted reads in the table copy named first."""
    if len(arguments) > 1:
        # the only way to tell libparted the sector size of a file (libparted/arch/linux.c, init_file)
        os.environ["PARTED_SECTOR_SIZE"] = arguments[1]
    answer: dict[str, Any]
    try:
        answer = _read(arguments[0])
    except (
        parted.DiskException,
        parted.DeviceException,
        parted.IOException,
        parted.PartedException,
    ) as error:
        answer = {"refusal": str(error)}
    answer["said"] = _said
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
