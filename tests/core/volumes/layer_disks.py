"""Disks with layers above their partitions, made without the device mapper.

The metadata of LVM are written here by the description of their format, so that a disk can have any shape.
"""

import struct
import subprocess
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SECTOR = 512
MIB = 1 << 20
EXTENT = MIB
DATA = MIB
"""Where the first extent of a physical volume begins."""
AREA, AREA_SIZE = 4096, MIB - 8192
LETTER = "rescued\n"


@dataclass(frozen=True)
class Run:
    """Extents of a logical volume on one physical volume."""

    physical: int
    first: int
    count: int


def crc(data: bytes) -> int:
    """The checksum of LVM: CRC-32 from a start of its own, without the last inversion."""
    return zlib.crc32(data, 0xF597A6CF ^ 0xFFFFFFFF) ^ 0xFFFFFFFF


def uuid(number: int, of: str = "p") -> str:
    raw = f"{of}{number:031d}"
    cuts = ((0, 6), (6, 10), (10, 14), (14, 18), (18, 22), (22, 26), (26, 32))
    return "-".join(raw[a:b] for a, b in cuts)


def metadata(
    volumes: dict[str, Sequence[Run]], extents: Sequence[int], *, number: int = 1, group: str = "vg"
) -> bytes:
    """The text of a group; `extents` of each physical volume."""
    lines = [f"{group} {{", f'id = "{uuid(0, "g")}"', f"seqno = {number}", 'format = "lvm2"']
    lines += ['status = ["RESIZEABLE", "READ", "WRITE"]', f"extent_size = {EXTENT // SECTOR}"]
    lines.append("physical_volumes {")
    for at, count in enumerate(extents):
        lines += [f"pv{at} {{", f'id = "{uuid(at)}"', f'device = "/dev/vd{chr(98 + at)}"']
        lines += ['status = ["ALLOCATABLE"]', f"pe_start = {DATA // SECTOR}", f"pe_count = {count}"]
        lines += [f"dev_size = {(DATA + (count + 1) * EXTENT) // SECTOR}", "}"]
    lines += ["}", "logical_volumes {"]
    for at, (name, runs) in enumerate(volumes.items()):
        lines += [f"{name} {{", f'id = "{uuid(at, "l")}"', 'status = ["READ", "WRITE", "VISIBLE"]']
        lines.append(f"segment_count = {len(runs)}")
        start = 0
        for which, run in enumerate(runs, start=1):
            lines += [f"segment{which} {{", f"start_extent = {start}", f"extent_count = {run.count}"]
            lines += [
                'type = "striped"',
                "stripe_count = 1",
                f'stripes = ["pv{run.physical}", {run.first}]',
                "}",
            ]
            start += run.count
        lines.append("}")
    return (
        "\n".join([*lines, "}", "}", "# Generated", 'contents = "Text Format Volume Group"']) + "\n"
    ).encode()


def label(number: int, size: int) -> bytes:
    """The second sector of physical volume `number`, of that many bytes."""
    body = struct.pack("<I8s", 32, b"LVM2 001") + uuid(number).replace("-", "").encode()
    body += struct.pack("<Q", size) + struct.pack("<QQQQ", DATA, 0, 0, 0)
    body += struct.pack("<QQQQ", AREA, AREA_SIZE, 0, 0)
    body = body.ljust(SECTOR - 20, b"\0")
    return b"LABELONE" + struct.pack("<QI", 1, crc(body)) + body


def area(text: bytes, at: int = SECTOR, before: bytes = b"", place: int = AREA) -> bytes:
    """A metadata area whose header names `text`; an older one lies at its start if `before`.

    `place` is the byte of the physical volume that it says it lies at.
    """
    locations = struct.pack("<QQII", at, len(text) + 1, crc(text + b"\0"), 0).ljust(96, b"\0")
    head = b" LVM2 x[5A%r0N*>" + struct.pack("<IQQ", 1, place, AREA_SIZE) + locations
    head = head.ljust(SECTOR - 4, b"\0")
    ring = bytearray(AREA_SIZE - SECTOR)
    ring[: len(before)] = before
    ring[at - SECTOR : at - SECTOR + len(text)] = text
    return struct.pack("<I", crc(head)) + head + ring


def file_system(path: Path, size: int) -> Path:
    """An ext4 of that many bytes with a letter in /home."""
    tree = path.parent / f"{path.name}.tree"
    (tree / "home").mkdir(parents=True)
    (tree / "home/letter").write_text(LETTER)
    (tree / "home/long").write_bytes(bytes(range(256)) * 9000)
    with open(path, "wb") as file:
        file.truncate(size)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-d", tree, path], check=True)
    return path


def lvm_disk(path: Path, volumes: dict[str, Sequence[Run]], extents: Sequence[int]) -> Path:
    """A disk with one partition for each physical volume, and an ext4 in each logical one."""
    starts, at = [], MIB
    for count in extents:
        starts.append(at)
        at += DATA + (count + 1) * EXTENT
    with open(path, "wb") as file:
        file.truncate(at + MIB)
    table = "label: dos\n" + "".join(
        f"{start // SECTOR},{(DATA + (count + 1) * EXTENT) // SECTOR},8e\n"
        for start, count in zip(starts, extents, strict=True)
    )
    subprocess.run(["sfdisk", "-q", path], input=table.encode(), check=True)
    text = metadata(volumes, extents)
    with open(path, "r+b") as disk:
        for number, start in enumerate(starts):
            disk.seek(start + SECTOR)
            disk.write(label(number, DATA + (extents[number] + 1) * EXTENT))
            disk.seek(start + AREA)
            disk.write(area(text))
        for name, runs in volumes.items():
            size = sum(run.count for run in runs) * EXTENT
            made = file_system(path.with_name(f"{path.stem}-{name}"), size)
            with open(made, "rb") as source:
                for run in runs:
                    disk.seek(starts[run.physical] + DATA + run.first * EXTENT)
                    disk.write(source.read(run.count * EXTENT))
            made.unlink()
    return path


def luks_disk(path: Path, passphrase: str) -> Path:
    """A disk whose only partition is LUKS1 with an ext4 in it, written by QEMU."""
    plain = file_system(path.with_name("plain"), 8 * MIB)
    key = path.with_name("key")
    key.write_text(passphrase)
    made = path.with_name("luks.container")
    secret = ["--object", f"secret,id=key,file={key}"]
    create = ["qemu-img", "create", "-q", *secret, "-f", "luks", "-o", "key-secret=key,iter-time=50"]
    for _try in range(40):  # on a busy host it cannot always tell how fast the processor is
        if subprocess.run([*create, made, str(8 * MIB)], capture_output=True).returncode == 0:
            break
    target = f"driver=luks,key-secret=key,file.filename={made}"
    argv = ["qemu-img", "convert", "-n", "-f", "raw", *secret, "--target-image-opts", plain, target]
    subprocess.run(argv, check=True)
    size = made.stat().st_size
    with open(path, "wb") as file:
        file.truncate(size + 2 * MIB)
    table = f"label: dos\n{MIB // SECTOR},{size // SECTOR},83\n"
    subprocess.run(["sfdisk", "-q", path], input=table.encode(), check=True)
    with open(path, "r+b") as disk, open(made, "rb") as source:
        disk.seek(MIB)
        disk.write(source.read())
    for one in (key, made, plain):
        one.unlink()
    return path


def two_disks(folder: Path) -> tuple[Path, Path]:
    """A group over two disks, raw and qcow2: `root` is on the first, `home` on both."""
    volumes = {"root": [Run(0, 2, 10)], "home": [Run(0, 14, 4), Run(1, 1, 4)]}
    whole = lvm_disk(folder / "disk.raw", volumes, [24, 8])
    first, second = folder / "vda.raw", folder / "vdb.qcow2"
    cut = MIB + DATA + 25 * MIB
    data = whole.read_bytes()
    half = folder / "half.raw"
    for path, begin, size in ((first, MIB, cut - MIB), (half, cut, len(data) - cut - MIB)):
        path.write_bytes(bytes(MIB) + data[begin : begin + size] + bytes(MIB))
        table = f"label: dos\n{MIB // SECTOR},{size // SECTOR},8e\n"
        subprocess.run(["sfdisk", "-q", path], input=table.encode(), check=True)
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", half, second], check=True)
    return first, second
