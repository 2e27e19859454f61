"""A volume of Windows for a practice disk: made by mkntfs(8), filled through ntfs-3g(8), which wants root.

The mount is there for the moment of the filling only, in the folder in which the disk is built.
"""

from pathlib import Path

from core import mounts
from core.command import Command
from core.i18n import _
from core.lab.disk import FileSystem, by_hand
from core.lab.planting import fill
from core.runner import Runner

_PIECE = 1 << 20


def make_ntfs(runner: Runner, raw: Path, made: FileSystem, work: Path) -> None:
    """Make an NTFS file system with its contents at its partition's place in `raw`.

    Raises `core.runner.CommandFailed`; the mount is taken down whatever happens.
    """
    volume, point = work / f"p{made.part.number}.ntfs", work / f"p{made.part.number}.mount"
    changes = _("The practice disk changes.")

    def empty() -> None:
        point.mkdir()
        with open(volume, "xb") as sink:
            sink.truncate(made.part.sectors * 512)

    by_hand(runner, ("truncate", f"--size={made.part.sectors * 512}", str(volume)), _("Make room."), empty)
    argv = ("mkntfs", "-q", "-F", "-L", made.label, "-p", str(made.part.start), "-H", "16", "-S", "63")
    runner.run(Command((*argv, str(volume)), why=_("Make the volume of Windows."), effect=changes))
    down = Command(("umount", str(point)), why=_("Take it down again."), effect=_("the mount is gone"))
    try:
        runner.run(
            Command(
                ("ntfs-3g", "-o", "nosuid,nodev,noexec", str(volume), str(point)),
                why=_("Mount the new volume for a moment, to write its files."),
                effect=_("the empty volume appears in the lab's folder"),
                undo=(down,),
                limits=None,
            )
        )
        by_hand(
            runner,
            ("cp", "--recursive", f"{work}/tree/.", str(point)),
            _("Write its files."),
            lambda: fill(made.items, point),
        )
    finally:
        if runner.planning or mounts.at(point):
            runner.run(down)
    by_hand(
        runner,
        ("dd", f"if={volume}", f"of={raw}", "conv=notrunc,sparse", f"seek={made.part.start}"),
        _("Put it into its place in the disk."),
        lambda: _copied(volume, raw, made.part.offset),
    )


def _copied(volume: Path, raw: Path, offset: int) -> None:
    with open(volume, "rb") as source, open(raw, "r+b") as sink:
        at = offset
        while piece := source.read(_PIECE):
            if any(piece):  # holes stay holes
                sink.seek(at)
                sink.write(piece)
            at += len(piece)
