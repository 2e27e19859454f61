"""Metadata of LVM that are made to keep a reader busy, or that are there twice."""

import time
import tracemalloc
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.cancel import CancelToken
from core.disks.view import View
from core.errors import Cancelled
from core.runner import PlanRunner
from core.tables.content import Content
from core.undo.stack import Stack
from core.volumes.lvm.groups import read_groups
from core.volumes.lvm.label import Texts
from core.volumes.lvm.mapping import Mapper
from core.volumes.lvm.model import Group, Logical, Part, Segment
from core.volumes.lvm.runs import NotPlain, Places, Run
from core.volumes.lvm.text import BadText, parse
from core.volumes.lvm.unlabelled import read_unlabelled
from core.volumes.lvm.volumes import logical_volumes
from core.volumes.model import of_bytes
from core.volumes.space import MOST
from core.volumes.tables import Shown
from tests.conftest import Program
from tests.core.volumes import layer_disks
from tests.core.volumes.layer_disks import AREA, AREA_SIZE, DATA, MIB, SECTOR, area, label, metadata, uuid

_SIZE = DATA + 25 * MIB


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.read_bytes = 0

    def read(self, offset: int, length: int) -> bytes:
        self.read_bytes += length
        return self.data[offset : offset + length]


def _member(text: bytes, number: int = 0) -> bytes:
    return (bytes(SECTOR) + label(number, _SIZE)).ljust(AREA, b"\0") + area(text)


def _group(volumes: str, *, extent: int = 1) -> Group:
    text = metadata({}, [24]).decode().replace("logical_volumes {\n", "logical_volumes {\n" + volumes)
    text = text.replace(f"extent_size = {MIB // SECTOR}", f"extent_size = {extent}")
    groups, _labels = read_groups(_Bytes(_member(text.encode())), [(0, _SIZE)])
    return groups[0]


def _volume(name: str, *segments: str) -> str:
    return f'{name} {{\nstatus = ["VISIBLE"]\n{"".join(segments)}}}\n'


def _segment(start: int, count: int, kind: str, *parts: tuple[str, int], number: int = 1) -> str:
    stripes = ", ".join(f'"{part}", {at}' for part, at in parts)
    return (
        f"segment{number} {{\nstart_extent = {start}\nextent_count = {count}\n"
        f'type = "{kind}"\nstripe_size = 1\nstripes = [{stripes}]\n}}\n'
    )


@pytest.mark.hostile(40)
def test_runs_that_join_without_end_are_not_put_together() -> None:
    """Each of two parts is a copy, so that all stripes of a huge volume lie behind one another."""
    group = _group(_volume("lv", _segment(0, 1 << 50, "raid10", ("pv0", 0), ("pv0", 0))))
    places = Places(group, _Bytes(b""))
    began = time.monotonic()
    for _again in range(50):
        with pytest.raises(NotPlain):
            places.runs(group.logical["lv"], 400)
    assert time.monotonic() - began < 30


@pytest.mark.hostile(40)
@pytest.mark.parametrize(("stripe", "parts"), [(0, 2), (4096, 0), (4096, 65)])
def test_copies_in_stripes_that_cannot_be_are_not_mapped(tmp_path: Path, stripe: int, parts: int) -> None:
    """What is wrong with them is told; the plan of the device mapper divides by their length."""
    legs = tuple(Part(f"leg{at}", 0) for at in range(parts))
    segment = Segment(0, MIB, "raid10", legs, stripe=stripe)
    plain = (Segment(0, MIB, "striped", (Part("pv0", 0),)),)
    volumes = {"lv": Logical("lv", "", True, (segment,))}
    volumes |= {one.name: Logical(one.name, "", False, plain) for one in legs}
    group = replace(_group(""), logical=volumes)
    view = View(tmp_path / "disk", _SIZE, writable=False, on=())
    places = Places(group, _Bytes(b""))
    mapper = Mapper(Stack(None, PlanRunner()), view, tmp_path, places, begin=0, tie=True)
    mapper.attached.update({(one.name, False): Shown("/dev/none", 0, MIB) for one in legs})
    with pytest.raises(NotPlain):
        mapper.show("lv")


@pytest.mark.hostile(40)
def test_volumes_that_lie_on_one_another_many_times_are_looked_at_once() -> None:
    below = [[(f"l{level + 1}", 0)] * 20 if level < 11 else [("pv0", 0)] for level in range(12)]
    told = "".join(_volume(f"l{at}", _segment(0, 1, "raid1", *parts)) for at, parts in enumerate(below))
    group = _group(told)
    assert Places(group, _Bytes(b"")).complete("l0")
    circle = _group(_volume("l0", _segment(0, 1, "raid1", ("l0", 0), ("pv0", 0))))
    assert not Places(circle, _Bytes(b"")).complete("l0")


@pytest.mark.hostile(40)
def test_thousands_of_segments_are_found_at_once() -> None:
    count = 8000  # as many as the ring of this area holds
    segments = [_segment(at, 1, "striped", ("pv0", at), number=at + 1) for at in range(count)]
    group = _group(_volume("lv", *segments))
    places, volume = Places(group, _Bytes(b"")), group.logical["lv"]
    began = time.monotonic()
    assert places.runs(volume, 400) == (Run(DATA, count * SECTOR),)
    assert time.monotonic() - began < 1


@pytest.mark.hostile(40)
def test_a_text_without_an_end_takes_no_memory() -> None:
    unended = b'a = "' + b"x\\n" * (MIB // 4)
    ring = b'\0a {\nid = "' * 20_000
    head = bytearray(area(b""))
    head[44:68] = bytes(24)
    data = bytes(AREA) + bytes(head[:SECTOR]) + ring
    known = Texts()
    tracemalloc.start()
    with pytest.raises(BadText):
        parse(unended)
    assert read_unlabelled(_Bytes(data), 0, len(data), known, search=True) is None
    _now, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2 * MIB
    assert parse(b'a = "x\\"y"') == {"a": 'x"y'}


@pytest.mark.hostile(40)
def test_of_areas_without_number_few_are_read() -> None:
    many = b"".join(AREA.to_bytes(8, "little") + bytes(8) for _area in range(16))
    body = label(0, 1 << 40)[SECTOR - 492 :]
    body = (body[: 12 + 40 + 32] + many + bytes(16)).ljust(492, b"\0")
    one = b"LABELONE" + (1).to_bytes(8, "little") + layer_disks.crc(body).to_bytes(4, "little") + body
    source = _Bytes((bytes(SECTOR) + one).ljust(8 * MIB + 2 * AREA, b"\0"))
    _groups, labels = read_groups(source, [(0, 1 << 40)] * 40)
    assert source.read_bytes < 300 * MIB
    assert any("more metadata on the disk than is looked at" in told for told in labels[-1].problems)


@pytest.mark.hostile(40)
def test_a_ring_full_of_beginnings_takes_no_other_group_along() -> None:
    head = bytearray(area(b""))
    head[44:68] = bytes(24)
    bad = bytes(head[:SECTOR]) + (b'a {\nid = "x"\n}\n' * 40_000).ljust(AREA_SIZE - SECTOR, b" ")
    hostile = (bytes(SECTOR) + label(1, _SIZE)).ljust(AREA, b"\0") + bad
    source = _Bytes(hostile.ljust(_SIZE, b"\0") + _member(metadata({}, [24])))
    groups, _labels = read_groups(source, [(0, _SIZE), (_SIZE, _SIZE)])
    assert [group.name for group in groups] == ["vg"]


def test_of_a_physical_volume_and_its_copy_one_is_read_and_that_is_told() -> None:
    newer, older = metadata({}, [24], number=2), metadata({}, [24])
    for texts, read in (((older, older), 0), ((older, newer), _SIZE), ((newer, older), 0)):
        source = _Bytes(b"".join(_member(text).ljust(_SIZE, b"\0") for text in texts))
        groups, labels = read_groups(source, [(0, _SIZE), (_SIZE, _SIZE)])
        assert [one.offset for one in groups[0].physical.values()] == [read]
        assert [label.offset for label in labels if label.uuid == uuid(0)] == [read]
        for one in labels:
            (told,) = one.problems
            assert ("This one is read" if one.offset == read else "not this one") in told


def test_a_copy_of_a_member_is_told_on_the_command_line(tmp_path: Path, program: Program) -> None:
    disk = tmp_path / "disk.raw"
    layer_disks.lvm_disk(disk, {"root": [layer_disks.Run(0, 2, 10)]}, [12, 12])
    size = DATA + 13 * MIB
    with open(disk, "r+b") as file:
        file.seek(MIB)
        first = file.read(size)
        file.seek(MIB + size)
        file.write(first)
    told = program("--format", "raw", "inspect", disk).out
    assert "1: Another LVM physical volume here has the same UUID" in told
    assert "2: Another LVM physical volume here has the same UUID" in told


def test_no_more_volumes_are_looked_at_than_are_listed_and_it_can_be_stopped() -> None:
    volumes = "".join(_volume(f"v{number}", _segment(0, 1, "striped", ("pv0", 0))) for number in range(900))
    text = metadata({}, [24]).decode().replace("logical_volumes {\n", "logical_volumes {\n" + volumes)
    looked, token = [], CancelToken()

    def probe(offset: int, _size: int) -> Content:
        looked.append(offset)
        return Content(None)

    space: Any = SimpleNamespace(
        source=_Bytes(_member(text.encode())), probe=probe, under="", runner=SimpleNamespace(cancel=token)
    )
    member = of_bytes("1", "partition", 0, _SIZE, Content("LVM2_member"), "", "")
    assert len(logical_volumes(space, [member], [], defaultdict(list))) == len(looked) == MOST
    token.cancel()
    with pytest.raises(Cancelled):
        logical_volumes(space, [member], [], defaultdict(list))
