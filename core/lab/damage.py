"""What happens to a practice disk after it was built: one verb each.

Verbs of `BEFORE` work on the raw bytes, before the image is made of them; those of `AFTER` on the image.
What happens on the host, such as a machine that still runs, is in `core.lab.staging`.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from core.command import Command
from core.i18n import _
from core.lab.disk import SECTOR, by_hand, to_format
from core.lab.facts import filled
from core.lab.mirror import DATA
from core.lab.planting import Item, owners

if TYPE_CHECKING:
    from core.lab.building import Work

Values = Mapping[str, str | int]
_PIECE = 64 << 10
"""Bytes that are compared at once: a cluster of qcow2."""


def before(work: "Work") -> None:
    """Let happen what befalls the raw bytes."""
    for one in work.lab.damages:
        if one.do in BEFORE:
            BEFORE[one.do](work, one.values)


def after(work: "Work") -> None:
    """Let happen what befalls the image."""
    for one in work.lab.damages:
        if one.do in AFTER:
            AFTER[one.do](work, one.values)
    if work.decoy_raw and not work.runner.planning:
        _seen_through_decoy(work, work.decoy_raw)


# -- on the raw bytes ----------------------------------------------------------------------------------


def zero(work: "Work", values: Values) -> None:
    """Overwrite sectors with zeros; a negative start counts from the end of the disk."""
    start, count = int(values["from"]), int(values["sectors"])

    def written() -> None:
        with open(work.raw, "r+b") as disk:
            disk.seek(start * SECTOR, os.SEEK_END if start < 0 else os.SEEK_SET)
            disk.write(bytes(count * SECTOR))

    line = ("dd", "if=/dev/zero", f"of={work.raw}", f"seek={start}", f"count={count}", "conv=notrunc")
    by_hand(work.runner, line, _("Break the practice disk: zeros over a part of it."), written)


def cut(work: "Work", values: Values) -> None:
    """Take so many bytes away at the end, as a copy that broke off does."""
    missing = int(values["bytes"])
    whole = max(place.end + 1 for place in work.places) * SECTOR
    size = whole - missing
    work.facts |= {"cut.size": str(size), "cut.missing": str(missing)}
    line = ("truncate", f"--size={size}", str(work.raw))
    by_hand(
        work.runner, line, _("Break the practice disk: cut its end off."), lambda: os.truncate(work.raw, size)
    )


def unreplayed(work: "Work", values: Values) -> None:
    """A change of a file that has come as far as the journal of its file system, and no further.

    The changed blocks are made in a copy, and written into the journal of the disk by debugfs(8).
    """
    place, path = work.place(int(values["partition"])), _path(work, values)
    old = work.items[place.number][path]
    new = _with_text(work, old, values)
    copy, blocks = work.folder / "changed.raw", work.folder / "changed.blocks"
    _cp(work, copy)
    _rewrite(work, copy, place.offset, old, new)
    size = next(one.block for one in work.lab.file_systems if one.partition == place.number)
    numbers: list[int] = []

    def compared() -> None:
        with open(work.raw, "rb") as one, open(copy, "rb") as other, open(blocks, "wb") as sink:
            for at, _old, data in _differing(one, other, size, place.offset, place.sectors * SECTOR):
                if at > place.offset:  # the superblock is not the journal's to change here
                    numbers.append((at - place.offset) // size)
                    sink.write(data)

    line = ("cmp", "--verbose", str(work.raw), str(copy))
    by_hand(work.runner, line, _("Collect the blocks that the change concerns."), compared)
    script = work.folder / "journal.debugfs"
    listed = ",".join(map(str, numbers))
    lines = ["journal_open -c", f"journal_write -b {listed} {blocks}", "journal_close"]
    _debugfs(work, work.raw, place.offset, script, lines, _("Write the change into the journal alone."))
    work.decoy(place.number, old)
    work.items[place.number][path] = new


def bad_area(work: "Work", values: Values) -> None:
    """An area in the middle of a file that could not be read: zeros, and a map as ddrescue writes it.

    Where `path` is a folder, chance says which of its files it hits.
    """
    place, path = work.place(int(values["partition"])), _path(work, values)
    items = work.items[place.number]
    within = sorted(name for name in items if name.startswith(f"{path}/") and items[name].kind == "file")
    path = work.chance.choice(within) if within else path
    size = next(one.block for one in work.lab.file_systems if one.partition == place.number)
    item = items[path]
    told = _debugfs_says(work, place.offset, f'blocks "/{path}"')
    numbers = [int(word) for word in told.split()] or [0]
    block = numbers[len(numbers) // 2]
    start, length = place.offset + block * size, size
    work.facts |= {
        "bad.start": str(start),
        "bad.bytes": str(length),
        "bad.block": str(block),
        "bad.file": "/" + path,
    }
    zero(work, {"from": start // SECTOR, "sectors": length // SECTOR})
    at = len(numbers) // 2 * size
    data = bytearray(item.data())
    data[at : at + size] = bytes(len(data[at : at + size]))
    work.decoy(place.number, replace(item, chunks=((0, bytes(data)),)))
    log = work.folder / f"{work.lab.disk.name}.map"
    whole = work.raw.stat().st_size if work.raw.exists() else 0
    lines = (
        "# Mapfile. Created by GNU ddrescue version 1.27",
        "# current_pos  current_status  current_pass",
        f"0x{start:08X}     +               1",
        "#      pos        size  status",
        f"0x00000000  0x{start:08X}  +",
        f"0x{start:08X}  0x{length:08X}  -",
        f"0x{start + length:08X}  0x{max(0, whole - start - length):08X}  +",
    )
    _write(work, log, "\n".join(lines) + "\n")


def stale_half(work: "Work", values: Values) -> None:
    """A change of a file that only the first half of a mirror took: the second one had dropped out before."""
    place, path = work.place(int(values["partition"])), _path(work, values)
    plan = next(one for one in work.lab.mirrors if one.number == place.number)
    other = work.place(plan.partitions[1]).offset + DATA * SECTOR

    def copied() -> None:
        with open(work.raw, "r+b") as disk:
            for at in range(0, place.sectors * SECTOR, _PIECE):
                disk.seek(place.offset + at)
                data = disk.read(min(_PIECE, place.sectors * SECTOR - at))
                if any(data):  # holes stay holes
                    disk.seek(other + at)
                    disk.write(data)

    line = ("dd", f"if={work.raw}", f"of={work.raw}", "conv=notrunc", f"seek={other // SECTOR}")
    by_hand(work.runner, line, _("Fill the second half of the mirror."), copied)
    old = work.items[place.number][path]
    new = _with_text(work, old, values)
    _rewrite(work, work.raw, place.offset, old, new)
    work.decoy(place.number, old)
    work.items[place.number][path] = new


# -- on the image ----------------------------------------------------------------------------------------


def snapshot(work: "Work", values: Values) -> None:
    """Keep the state of now as an internal snapshot."""
    name = str(values["name"])
    _run(
        work,
        ("qemu-img", "snapshot", "-c", name, str(work.disk)),
        _("Keep this state in a snapshot inside the image."),
    )


def delete(work: "Work", values: Values) -> None:
    """Delete a file, as somebody would do by mistake. What is wanted stays what it was."""
    place, path = work.place(int(values["partition"])), _path(work, values)
    changed = work.folder / "deleted.raw"
    _cp(work, changed)
    script = work.folder / "delete.debugfs"
    _debugfs(work, changed, place.offset, script, [f'rm "/{path}"'], _("Delete a file."))
    _apply(work, changed)


def change(work: "Work", values: Values) -> None:
    """Write a file anew; from now on that state of it is the wanted one."""
    place, path = work.place(int(values["partition"])), _path(work, values)
    old = work.items[place.number][path]
    new = _with_text(work, old, values)
    changed = work.folder / "changed.raw"
    _cp(work, changed)
    _rewrite(work, changed, place.offset, old, new)
    _apply(work, changed)
    work.decoy(place.number, old)
    work.items[place.number][path] = new


def overlay(work: "Work", values: Values) -> None:
    """Put a thin image over the disk, as a snapshot of the hypervisor does: from now on that one is the
    disk."""
    base, name = work.disk, work.folder / str(values["name"])
    _run(
        work,
        ("qemu-img", "create", "-q", "-f", "qcow2", "-b", base.name, "-F", "qcow2", str(name)),
        _("Put a thin image over the disk."),
    )
    work.disk, work.overlaid = name, True
    work.originals.append(name)


def decoy(work: "Work", values: Values) -> None:
    """Leave a copy of the disk as it is now, under another name; it is older than what follows."""
    place, raw = work.folder / str(values["name"]), work.folder / "decoy.raw"
    _mkdir(work, place.parent)
    to_format(work.runner, work.raw, place, "qcow2")
    _run(work, ("cp", "--sparse=always", str(work.raw), str(raw)), _("Keep that state to compare with."))
    work.decoy_raw = raw


def move(work: "Work", values: Values) -> None:
    """Move one of the images: who points to it does not know."""
    there, place = work.folder / str(values["from"]), work.folder / str(values["to"])
    _mkdir(work, place.parent)
    line = ("mv", str(there), str(place))
    by_hand(work.runner, line, _("Move an image to another folder."), lambda: os.replace(there, place))
    if not work.runner.planning:
        with open(place, "rb") as source:
            work.facts["moved.sha256"] = hashlib.file_digest(source, "sha256").hexdigest()
    work.originals[:] = [place if one == there else one for one in work.originals]


def point(work: "Work", values: Values) -> None:
    """Let the header of the disk point to a file of the host."""
    to = str(values["to"])
    _run(
        work,
        ("qemu-img", "rebase", "-u", "-f", "qcow2", "-b", to, "-F", "raw", str(work.disk)),
        _("Write a path into the header of the image; nothing is opened."),
    )


Verb = Callable[["Work", Values], None]
BEFORE: Mapping[str, Verb] = {
    "zero": zero,
    "cut": cut,
    "unreplayed": unreplayed,
    "bad-area": bad_area,
    "stale-half": stale_half,
}
AFTER: Mapping[str, Verb] = {
    "snapshot": snapshot,
    "delete": delete,
    "change": change,
    "overlay": overlay,
    "decoy": decoy,
    "move": move,
    "point": point,
}


# -- how it is done --------------------------------------------------------------------------------------


def _path(work: "Work", values: Values) -> str:
    return filled(str(values["path"]), work.names()).strip("/")


def _with_text(work: "Work", old: Item, values: Values) -> Item:
    size = int(values.get("size", 0))
    data = work.chance.randbytes(size) if size else filled(str(values["text"]), work.names()).encode()
    return replace(old, chunks=((0, data),), size=len(data), mtime=work.when)


def _rewrite(work: "Work", raw: Path, offset: int, old: Item, new: Item) -> None:
    content = work.folder / "content"
    _write(work, content, new.data())
    lines = [f'rm "/{old.path}"', f'write "{content}" "/{old.path}"', *owners([new])]
    lines.append(f'set_inode_field "/{old.path}" mode 0{0o100000 | new.mode:o}')
    _debugfs(work, raw, offset, work.folder / "rewrite.debugfs", lines, _("Write a file anew."))


def _debugfs(work: "Work", raw: Path, offset: int, script: Path, lines: list[str], why: str) -> None:
    _write(work, script, "\n".join(lines) + "\n")
    _run(
        work,
        ("debugfs", "-w", "-f", str(script), f"{raw}?offset={offset}"),
        why,
        (("E2FSPROGS_FAKE_TIME", str(work.when)),),
    )


def _debugfs_says(work: "Work", offset: int, request: str) -> str:
    if work.runner.planning:
        return ""
    line = ("debugfs", "-R", request, f"{work.raw}?offset={offset}")
    return work.runner.run(Command(line, why=_("See where the file lies."))).out.decode()


def _apply(work: "Work", changed: Path) -> None:
    """Write what differs between the raw bytes and `changed` into the image, and go on from there."""
    pieces = work.folder / "pieces"

    def collected() -> list[tuple[int, int]]:
        found = []
        with open(work.raw, "rb") as one, open(changed, "rb") as other, open(pieces, "wb") as sink:
            for at, _old, data in _differing(one, other, _PIECE, 0, work.raw.stat().st_size):
                found.append((at, len(data)))
                sink.write(data)
        return found

    line = ("cmp", "--verbose", str(work.raw), str(changed))
    beneath = work.decoy_raw if work.overlaid else None
    nothing: list[tuple[int, int]] = []
    found = work.runner.perform(
        Command(line, why=_("See what the change concerns."), effect=_("Nothing yet."), by_hand=True),
        collected,
        planned=nothing,
    )
    with open(pieces, "rb") if found else open(os.devnull, "rb") as source:
        for at, length in found:
            one, data = work.folder / "piece", source.read(length)
            one.write_bytes(data)
            if beneath:
                with open(beneath, "r+b") as other:
                    other.seek(at)
                    other.write(data)
            order = f"write -q -s {one} {at} {length}"
            _run(
                work,
                ("qemu-io", "-f", "qcow2", "-c", order, str(work.disk)),
                _("Write the change into the image."),
            )
    by_hand(
        work.runner,
        ("mv", str(changed), str(work.raw)),
        _("Go on from there."),
        lambda: os.replace(changed, work.raw),
    )


def _seen_through_decoy(work: "Work", raw: Path) -> None:
    """Remember what the changed files would hold with the decoy in the place of the image that was moved."""
    for one in work.lab.damages:
        if one.do == "change":
            place, path = work.place(int(one.values["partition"])), _path(work, one.values)
            line = ("debugfs", "-R", f'cat "/{path}"', f"{raw}?offset={place.offset}")
            data = work.runner.run(Command(line, why=_("See what the decoy would show."))).out
            item = work.items[place.number][path]
            if data != item.data():
                work.decoy(place.number, replace(item, chunks=((0, data),), size=len(data)))


def _differing(
    one: BinaryIO, other: BinaryIO, size: int, start: int, length: int
) -> Iterator[tuple[int, bytes, bytes]]:
    """The pieces of `size` bytes in which two open files differ, from `start` on: place, old, new."""
    for source in (one, other):
        source.seek(start)
    for at in range(start, start + length, size):
        count = min(size, start + length - at)
        old, new = one.read(count), other.read(count)
        if old != new:
            yield at, old, new


def _cp(work: "Work", copy: Path) -> None:
    line = ("cp", "--sparse=always", str(work.raw), str(copy))
    _run(work, line, _("Make a copy to change."))


def _mkdir(work: "Work", folder: Path) -> None:
    by_hand(
        work.runner,
        ("mkdir", "--parents", str(folder)),
        _("Make a folder."),
        lambda: folder.mkdir(parents=True, exist_ok=True),
    )


def _write(work: "Work", path: Path, data: str | bytes) -> None:
    content = data.encode() if isinstance(data, str) else data
    by_hand(work.runner, ("tee", str(path)), _("Write a file."), lambda: _put(path, content))


def _put(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _run(
    work: "Work", argv: tuple[str, ...], why: str, environment: tuple[tuple[str, str], ...] = ()
) -> None:
    work.runner.run(
        Command(argv, why=why, effect=_("The practice disk changes."), environment=environment, limits=None)
    )
