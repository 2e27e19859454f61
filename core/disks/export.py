"""A graph of block devices shown as one file: ``qemu-storage-daemon --export type=fuse``.

See qemu-storage-daemon(1). The daemon is ready in a tenth of a second and converts nothing.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.command import Command, Variable
from core.i18n import _
from core.undo.daemons import serve, tied
from core.undo.stack import Stack

NODE = "disk"
# glibc gives every request of the daemon a mapping of its own otherwise, and its system time doubles
MALLOC = (("MALLOC_MMAP_THRESHOLD_", "67108864"), ("MALLOC_TRIM_THRESHOLD_", "268435456"))


def export(
    stack: Stack,
    graph: dict[str, Any],
    path: Path,
    *,
    tie: bool,
    on: tuple[str, ...],
    why: str,
    writable: bool = False,
    on_network: bool = False,
    pass_fds: tuple[int, ...] = (),
    objects: tuple[str, ...] = (),
    environment: tuple[tuple[str, str], ...] = (),
) -> None:
    """Show the node `NODE` of the graph at `path`, in the session's own folder.

    `objects` are arguments for what the graph refers to. With `tie` the daemon dies with this program. Raises
    `core.undo.daemons.CouldNotStart` when it cannot open the graph.
    """
    stack.runner.run(
        Command(
            ("touch", str(path)),
            why=_("Make the place where the disk's raw bytes will appear as one file."),
            effect=_("an empty file in the state folder"),
        )
    )
    place = str(path).replace(",", ",,")
    switch = "on" if writable else "off"
    argv = (
        "qemu-storage-daemon",
        *objects,
        "--blockdev",
        json.dumps(graph),
        "--export",
        f"type=fuse,id=view,node-name={NODE},mountpoint={place},writable={switch}",
    )
    command = Command(
        tied(argv, tie),
        why=why,
        effect=_("a daemon that serves one file"),
        captures="EXPORT",
        background=True,
        environment=(*MALLOC, *environment),
        limits=None,
        on_network=on_network,
    )
    serve(
        stack,
        "fuse-export",
        command,
        path,
        path.with_name("export.log"),
        argument=f"mountpoint={place},",
        on=on,
        ends_with="kill",
        pass_fds=pass_fds,
    )


def secret_objects(names: Sequence[str], pipes: Sequence[int]) -> tuple[str, ...]:
    """The secrets as arguments of a program of QEMU: where each is read, never what it is."""
    if not pipes:
        return tuple(
            word
            for name in names
            for word in ("--object", Variable(f"secret,id={name},file=$PASSPHRASE_FILE"))
        )
    pairs = zip(names, pipes, strict=True)
    return tuple(
        word for name, pipe in pairs for word in ("--object", f"secret,id={name},file=/proc/self/fd/{pipe}")
    )
