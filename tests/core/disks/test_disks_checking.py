"""What a check of an image's tables says, in plain words, and that it writes nothing."""

import json
import struct
from pathlib import Path

from tests.conftest import Guard, Program, needs_root
from tests.core.disks.disk_images import content, converted, created, patched


def _verdict(program: Program, image: Path) -> dict[str, object]:
    told = program("inspect", "--check", "--json", image)
    return json.loads(told.out)["check"][0]


def _image(folder: Path) -> Path:
    return converted(content(folder / "a.raw"), folder / "a.qcow2", "qcow2")


def _refcount_block(image: Path) -> int:
    head = image.read_bytes()[:72]
    (table,) = struct.unpack_from(">Q", head, 48)
    return int(struct.unpack_from(">Q", image.read_bytes(), table)[0])


@needs_root
def test_a_sound_image_and_one_without_tables(tmp_path: Path, program: Program, guard: Guard) -> None:
    guard.watch(image := _image(tmp_path))
    assert _verdict(program, image)["state"] == "sound"
    assert _verdict(program, tmp_path / "a.raw")["state"] == "unchecked"
    shown = program("inspect", "--check", image)
    assert "consistent" in shown.out
    assert "copy only" not in shown.out


@needs_root
def test_a_leak_costs_room_and_no_data(tmp_path: Path, program: Program, guard: Guard) -> None:
    image = _image(tmp_path)
    with open(image, "ab") as file:
        file.write(bytes(2 << 16))
    last = image.stat().st_size // 65536 - 1
    guard.watch(patched(image, _refcount_block(image) + 2 * last, b"\0\1"))
    told = _verdict(program, image)
    assert (told["state"], told["leaks"]) == ("leaks", 1)
    shown = program("inspect", "--check", image)
    assert "no data is at risk" in shown.out
    assert "copy only" in shown.out


@needs_root
def test_a_contradiction_is_said_and_not_repaired(tmp_path: Path, program: Program, guard: Guard) -> None:
    image = _image(tmp_path)
    guard.watch(patched(image, _refcount_block(image) + 2 * 4, b"\0\0"))
    told = _verdict(program, image)
    assert told["state"] == "corrupt"
    assert "may read wrong" in str(told["sentence"])


@needs_root
def test_the_whole_chain_is_checked(tmp_path: Path, program: Program) -> None:
    _image(tmp_path)
    top = created(tmp_path / "top.qcow2", "qcow2", "-F", "qcow2", "-b", "a.qcow2", size=None)
    told = json.loads(program("inspect", "--check", "--json", top).out)
    assert [one["state"] for one in told["check"]] == ["sound", "sound"]
    drawn = program("inspect", "--check", top).out
    assert "└─" in drawn and drawn.count("checked:") == 2
