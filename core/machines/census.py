"""All machines that this host knows of, each once, whoever tells of it."""

from dataclasses import replace
from pathlib import Path

from core.machines import libvirt, proxmox, running
from core.machines.model import VirtualMachine
from core.machines.places import Places, here


def machines(places: Places | None = None) -> list[VirtualMachine]:
    """The machines of libvirt, of Proxmox VE, then the processes of QEMU that neither of them runs.

    Only looks at files and processes; what an ordinary user may not read is left out.
    """
    places = places or here()
    managed = [*libvirt.machines(places), *proxmox.machines(places)]
    left = []
    for process in running.machines({one.pid for one in managed if one.pid}):
        # An ordinary user sees the process and the definition, but not that they belong together
        same = (at for at, one in enumerate(managed) if one.name == process.name)
        at = next((at for at in same if not managed[at].running and not managed[at].node), None)
        if at is None:
            left.append(process)
        else:
            managed[at] = replace(managed[at], running=True, pid=process.pid)
    return managed + left


def folders(places: Places | None = None) -> list[Path]:
    """The folders that the managers keep images in."""
    places = places or here()
    return list(dict.fromkeys([*libvirt.folders(places), *proxmox.folders(places)]))
