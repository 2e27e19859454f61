"""What a practice disk may need of the host, and why it cannot be had here."""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from core import host, tools
from core.i18n import _, sentences


def _root() -> str:
    return "" if os.geteuid() == 0 else _("It needs root: start again with sudo.")


def _mapper() -> str:
    return "" if host.has_device_mapper() else _("This kernel has no device mapper.")


def _arrays() -> str:
    return "" if Path("/proc/mdstat").exists() else _("This kernel has no md arrays.")


def _program(name: str) -> Callable[[], str]:
    def missing() -> str:
        return "" if tools.find(name) else _("The program {name} is not installed.").format(name=name)

    return missing


NEEDS: Mapping[str, Callable[[], str]] = {
    "root": _root,
    "device-mapper": _mapper,
    "arrays": _arrays,
    "lvm": _program("lvm"),
    "mdadm": _program("mdadm"),
    "cryptsetup": _program("cryptsetup"),
    "ntfs-3g": _program("ntfs-3g"),
}
"""What can stand as ``needs``, and how it is found out why it is not there; empty when it is."""


def hindrance(needs: Iterable[str]) -> str:
    """Why a lab with these needs cannot be done on this host, as a sentence; empty when it can."""
    return sentences(NEEDS[need]() for need in needs)
