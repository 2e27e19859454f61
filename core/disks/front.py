"""A daemon in front of a disk that ``qemu-storage-daemon`` cannot open by itself as it is wanted.

That is an internal snapshot, for which only ``qemu-nbd --load-snapshot`` and ``qemu-img convert -l`` have
an option. The first shows it at once and takes no room; the second would write all of it out before the
first look. It is an encrypted image: one program alone gets the passphrase, and whatever is done with
the disk then (shown, under an overlay, converted, compared) needs none. It is an image whose log must be
replayed first, and one that QEMU does not read at all (`core.disks.serving`). The daemons serve over Unix
sockets in the session's folder, read-only, with no network; see qemu-nbd(8).
"""

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from core import child
from core.command import SERVING, Command, Limits
from core.disks import overlay as overlays
from core.disks.export import NODE, export, secret_objects
from core.disks.locks import ReadLock
from core.disks.model import Disk, Link, Snapshot
from core.disks.vet import chain_graph, file_node, link_node
from core.errors import NeedsPassphrase, Refused
from core.i18n import _
from core.runner import CommandFailed, Runner
from core.secrets import Secret, all_handed
from core.text import safe
from core.undo.daemons import serve, tied
from core.undo.pairs import FileKind, Pair
from core.undo.stack import Stack

# `qemu-img info` opens an image without asking for its key
_OPEN = ("qemu-img", "map", "--output=json", "--max-length=512")
# -u: the file itself is not opened for this
_OVER_FILE = ("qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", "raw")
_PROOF = Limits(wall=300.0, processor=300)
"""A passphrase is stretched on purpose, and images from faster hosts take their time here."""


@dataclass(frozen=True, slots=True)
class _Front:
    """What the daemons of one disk have in common."""

    stack: Stack
    disk: Disk
    folder: Path
    lock: ReadLock
    secrets: Mapping[Path, Secret]
    tie: bool
    on: list[str] = field(default_factory=list)
    """What of the undo stack the next daemon stands on."""


def show(
    stack: Stack, disk: Disk, folder: Path, lock: ReadLock, secrets: Mapping[Path, Secret], *, tie: bool
) -> Disk:
    """Start the daemons for a disk that wants one; the disk with the socket where it is reached.

    `folder` is the session's own, `secrets` has the passphrase of each encrypted link. Raises
    `SalvageError` when a daemon cannot open the disk.
    """
    front = _Front(stack, disk, folder, lock, secrets, tie)
    runs = [tuple(links) for _own, links in itertools.groupby(disk.chain, lambda link: bool(link.reader))]
    place: Path | None = None
    for number, run in reversed(list(enumerate(runs))):
        if number and _is_plain(run):
            continue  # the reader above takes the file as it is
        below = _as_file(front, number, runs[number + 1 :], place)
        place = (_put_together if run[0].reader else _serve)(front, number, run, below)
    return replace(disk, socket=place)


def _is_plain(run: Sequence[Link]) -> bool:
    """Whether a file is the disk from its first byte on."""
    return len(run) == 1 and (run[0].format == "raw" or run[0].window is not None)


def _socket_node(place: Path) -> dict[str, Any]:
    return {"driver": "nbd", "read-only": True, "server": {"type": "unix", "path": str(place)}}


def _serve(front: _Front, number: int, run: Sequence[Link], below: Path | None) -> Path:
    """Serve links that QEMU reads, over what lies below them."""
    stack, disk = front.stack, front.disk
    place = front.folder / f"s{number}.nbd"
    known = place.with_suffix(".pid")
    locked = [link.path for link in run if link.encryption]
    keys = {path: f"key{at}" for at, path in enumerate(locked)}
    files = {link.path: _replayed(front, at, link) for at, link in enumerate(run) if link.has_log}
    # A file, since QEMU hands the name in the header above on to a client of NBD, which wants none
    under = {"driver": "raw", "read-only": True, "file": file_node(below, is_device=False)} if below else None
    graph = chain_graph(run, keys, under, files)
    with all_handed([] if stack.runner.planning else [front.secrets[path] for path in locked]) as pipes:
        command = Command(
            tied(
                (
                    "qemu-nbd",
                    "--read-only",
                    "--persistent",
                    "--shared=0",
                    f"--socket={place}",
                    f"--pid-file={known}",
                    *secret_objects(list(keys.values()), pipes),
                    *_state(disk.snapshot if number == 0 else None),
                    "json:" + json.dumps(graph),
                ),
                front.tie,
            ),
            why=_("Serve the disk to the next program: the export alone cannot open it as it is wanted."),
            effect=_("a daemon that serves the disk over a socket in the state folder"),
            captures="SERVER",
            background=True,
            limits=None,
        )
        _start(front, command, place, known, (*front.lock.descriptors, *pipes))
    return place


def _start(front: _Front, command: Command, place: Path, known: Path, pass_fds: tuple[int, ...]) -> None:
    serve(
        front.stack,
        "nbd",
        command,
        place,
        place.with_suffix(".log"),
        argument=f"--socket={place}",
        on=tuple(front.on),
        ends_with="kill",
        pass_fds=pass_fds,
        ready=known,
    )
    front.on[:] = [str(place)]


def _put_together(front: _Front, number: int, run: Sequence[Link], below: Path | None) -> Path:
    """Serve links that this program reads by itself, over a file that is the disk below them."""
    place = front.folder / f"s{number}.nbd"
    known = place.with_suffix(".pid")
    under = front.disk.chain[front.disk.chain.index(run[-1]) + 1 :]
    described = {
        "links": [{"path": str(link.path), "reader": link.reader} for link in run],
        "below": {"path": str(below), "size": under[0].virtual_size} if below else None,
    }
    command = Command(
        tied(
            child.argv(SERVING, f"--socket={place}", f"--pid-file={known}", json.dumps(described)),
            front.tie,
        ),
        why=_("Put the disk together from its files: QEMU does not read this format."),
        effect=_("a daemon that serves the disk over a socket in the state folder"),
        captures="SERVER",
        background=True,
        environment=child.environment(),
        limits=None,
    )
    _start(front, command, place, known, front.lock.descriptors)
    return place


def _as_file(front: _Front, number: int, runs: Sequence[Sequence[Link]], place: Path | None) -> Path | None:
    """The disk below links, as a file; None where there is none."""
    if not runs:
        return None
    if _is_plain(runs[0]):
        return runs[0][0].path
    assert place
    path = front.folder / f"below{number}.raw"
    node = {"node-name": NODE, "driver": "raw", "read-only": True, "file": _socket_node(place)}
    why = _("Show the disk below as raw bytes, for what reads the one above it.")
    export(front.stack, node, path, tie=front.tie, on=tuple(front.on), why=why)
    front.on[:] = [str(path)]
    return path


def _replayed(front: _Front, number: int, link: Link) -> dict[str, Any]:
    """Replay the log of an image in an overlay over its file; the node that stands in for the file.

    QEMU's vhdx driver replays when it opens an image for writing, see vhdx_parse_log in its block/vhdx-log.c:
    here it writes to the overlay.
    """
    path = front.folder / f"log{number}.qcow2"
    length = 0 if front.stack.runner.planning else link.path.stat().st_size
    make = Command(
        (*_OVER_FILE, "-b", str(link.path), str(path), str(length)),
        why=_("Make an overlay over the image's file: the log's changes go there, none into the file."),
        effect=_("a new file for those changes"),
    )
    front.stack.put_up(Pair("overlay", make, str(path), facts=lambda: FileKind.facts(path)))
    own = {**file_node(link.path, link.is_block_device), "read-only": True}
    node = overlays.graph(path, {"driver": "raw", "read-only": True, "file": own})
    replay = Command(
        ("qemu-img", "check", "-q", "-r", "all", overlays.named({"driver": link.format, "file": node})),
        why=_("Replay the image's log in the overlay."),
        effect=_("what the log holds is in its place, in the overlay"),
        limits=None,
    )
    try:
        front.stack.runner.run(replay)
    except CommandFailed as failure:
        raise Refused(
            _("The log of {path} could not be replayed: {message}").format(
                path=safe(link.path), message=failure.what
            ),
            _("Nothing was written to the file; what is only in its log is not seen."),
            _("Back it up, and try it on the copy: qemu-img check -r all COPY."),
        ) from failure
    front.on.append(str(path))
    return node


def _state(snapshot: Snapshot | None) -> tuple[str, ...]:
    if snapshot is None:
        return ()
    named = ",".join(
        f"snapshot.{key}={value.replace(',', ',,')}"
        for key, value in (("id", snapshot.id), ("name", snapshot.name))
        if value
    )
    return (f"--load-snapshot={named}",)


def prove(link: Link, secret: Secret, runner: Runner) -> None:
    """Open one link by itself with the passphrase; raises `NeedsPassphrase` where that is the wrong one.

    The old AES has nothing that a passphrase could be compared with: there every one is taken.
    """
    node = link_node(link, None, {link.path: "key"})
    with secret.handed() as pipe:
        command = Command(
            (*_OPEN, *secret_objects(["key"], [pipe]), "json:" + json.dumps(node)),
            why=_("See whether the passphrase is right; it comes through a pipe."),
            limits=_PROOF,
        )
        try:
            runner.run(command, pass_fds=(pipe,))
        except CommandFailed as failure:
            if b"nvalid password" not in failure.result.err:
                raise
            raise needed(link.path, again=True) from None


def needed(path: Path, *, again: bool = False) -> NeedsPassphrase:
    """The error for an encrypted image whose passphrase is not known, or wrong."""
    told = (
        _("That is not the passphrase of {path}.")
        if again
        else _("{path} is encrypted by QEMU, and its passphrase was not given.")
    )
    return NeedsPassphrase(
        path,
        told.format(path=safe(path)),
        _("Nothing was opened or changed; a wrong passphrase does no harm."),
        _("Give it at the terminal, or with --passphrase-file; a backup copies the image without it."),
        again=again,
    )
