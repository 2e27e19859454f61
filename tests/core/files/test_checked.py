"""Copies that are checked, go on where they were cut off, and leave what lies in bad places for last."""

import errno
import os
import random
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from core.disks.areas import Areas, mapfile, unread
from core.errors import SalvageError
from core.files import verify
from core.files.bad import BadPlaces, extents
from core.files.choices import Choices, Clash, Existing
from core.files.content import Gap, read_at
from core.files.outcome import verified_told
from core.files.target import PART, Target
from tests import hostile_tree
from tests.compare_trees import differences
from tests.conftest import needs_root
from tests.core.files.copying import check_sums, quiet, run

MINE = [b"SHA256SUMS", b"salvage-metadata.jsonl"]


def killed(seconds: float, root: Path, dest: Path) -> bool:
    """Copy in a process of its own and kill it after that time; False when the copy was done before."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL)).start()
            run(root, dest)
            status = 0
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status in (0, -signal.SIGKILL)
    return status != 0


@needs_root
def test_killed_fifty_times_at_random_places_it_is_the_same_tree(tmp_path: Path) -> None:
    """Each run gets a little further; none trusts what the one before has left half done."""
    root, dest = tmp_path / "guest", tmp_path / "dest"
    hostile_tree.build(root, 1500)
    chance = random.Random(50)
    kills = 0
    while kills < 50:
        if not killed(chance.uniform(0.01, 0.5), root, dest):
            subprocess.run(["rm", "-rf", dest], check=True)
            continue
        kills += 1
        if kills % 10 == 0:
            whole = [path for path in dest.rglob("*") if not path.is_symlink() and path.is_file()]
            for path in whole:
                inside = path.relative_to(dest)
                unfinished = any(part.startswith(os.fsdecode(PART)) for part in inside.parts)
                if not unfinished and os.fsencode(path.name) not in MINE:
                    assert path.read_bytes() == (root / inside).read_bytes()
    copied = run(root, dest)
    assert (copied.unreadable, copied.lost_metadata) == ([], [])
    assert copied.verified.whole
    assert differences(root, dest, MINE) == []
    assert check_sums(dest) == []


@needs_root
def test_what_a_power_cut_leaves_of_a_file_is_made_anew(tmp_path: Path) -> None:
    """Its inode is there with time and owner, its data is not; what is the operator's is not taken for it."""
    root, dest = tmp_path / "guest", tmp_path / "dest"
    root.mkdir()
    for name in ("torn", "other", "good"):
        (root / name).write_bytes(os.urandom(10_000))
        os.utime(root / name, ns=(1, 1_500_000_000_123_456_789))
    run(root, dest)
    with open(dest / "torn", "r+b") as file:
        file.truncate(0)
    os.utime(dest / "torn", ns=(1, 1_500_000_000_123_456_789))
    assert [gap.path for gap in run(root, dest).unreadable] == [b"/torn"]
    (dest / os.fsdecode(PART + b"0123-1")).write_text("the manifest of the copy that was cut off")
    (dest / "other").write_bytes(b"of the operator")
    copied = run(root, dest)
    assert [gap.path for gap in copied.unreadable] == [b"/other"]
    assert (dest / "torn").read_bytes() == (root / "torn").read_bytes()
    assert (dest / "other").read_bytes() == b"of the operator"


@pytest.mark.parametrize("existing", ["leave", "both", "replace", "ask"])
def test_what_is_there_already_is_treated_as_chosen(tmp_path: Path, existing: Existing) -> None:
    root, dest = tmp_path / "guest", tmp_path / "dest"
    (root / "folder").mkdir(parents=True)
    for name in ("file", "same", "folder/deep", "was-a-folder", "was-a-link"):
        (root / name).write_text("guest")
    (root / "link").symlink_to("guest")
    (root / "dir").mkdir()
    (root / "dir" / "inside").write_text("guest")
    (dest / "folder").mkdir(parents=True)
    for name in ("file", "folder/deep", "dir"):
        (dest / name).write_text("of the operator")
    (dest / "same").write_text("guest")
    (dest / "was-a-folder").mkdir()
    (dest / "was-a-link").symlink_to(tmp_path / "outside")
    (dest / "link").symlink_to("elsewhere")
    asked: list[Clash] = []

    def decide(clash: Clash) -> Existing:
        asked.append(clash)
        return "both"

    copied = run(root, dest, choices=Choices(existing=existing, decide=decide))
    taken = {b"/file", b"/folder/deep", b"/dir", b"/was-a-folder", b"/was-a-link", b"/link"}
    assert not (tmp_path / "outside").exists()
    assert (dest / "same").read_text() == "guest"
    assert copied.skipped_same == 1
    if existing == "leave":
        assert {gap.path for gap in copied.unreadable} == taken
        assert (dest / "file").read_text() == "of the operator"
    elif existing == "replace":
        assert [gap.path for gap in copied.unreadable] == [b"/was-a-folder"]
        assert (dest / "folder/deep").read_text() == (dest / "was-a-link").read_text() == "guest"
        assert (dest / "dir/inside").read_text() == "guest" and os.readlink(dest / "link") == "guest"
        assert copied.replaced == 5
    else:
        assert copied.unreadable == []
        assert (dest / "file").read_text() == "of the operator"
        assert (dest / "file~2").read_text() == (dest / "was-a-folder~2").read_text() == "guest"
        assert (dest / "dir~2/inside").read_text() == "guest" and os.readlink(dest / "link~2") == "guest"
        assert (copied.kept_both, {clash.path for clash in asked}) == (
            6,
            taken if existing == "ask" else set(),
        )
        again = run(root, dest, choices=Choices(existing="both"))
        assert (again.unreadable, again.skipped_same) == ([], copied.files)
        assert not (dest / "file~3").exists()
    assert [line for line in check_sums(dest) if "WARNING" not in line] == []


def test_what_the_target_gives_back_wrong_is_told_and_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, dest = tmp_path / "guest", tmp_path / "dest"
    (root / "folder").mkdir(parents=True)
    for number in range(20):
        (root / "folder" / f"f{number}").write_bytes(os.urandom(5000))
    flush = verify.read_back

    def failing(folder: int, *rest: object) -> object:
        with open(dest / "folder/f7", "r+b") as file:
            file.seek(4000)
            file.write(b"flipped")
        return flush(folder, *rest)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr("core.files.copy.read_back", failing)
        copied = run(root, dest)
    assert [gap.path for gap in copied.unreadable] == [b"/folder/f7"]
    assert copied.verified.wrong == [b"folder/f7"] and copied.verified.files == 19
    assert not (dest / "folder/f7").exists()
    assert run(root, dest).unreadable == []
    assert (dest / "folder/f7").read_bytes() == (root / "folder/f7").read_bytes()


@pytest.mark.parametrize("how", ["fits", "all", "none"])
def test_as_much_is_read_back_as_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    root = tmp_path / "guest"
    root.mkdir()
    for number in range(300):
        (root / f"f{number}").write_bytes(os.urandom(50_000))
    monkeypatch.setattr(verify, "_LEAST", 0.005)
    monkeypatch.setattr(verify, "_PART", 0.001)
    verified = run(root, tmp_path / "dest", choices=Choices(verify=how)).verified  # type: ignore[arg-type]
    assert verified.wrong == []
    assert verified.whole == (how == "all")
    assert {"fits": 0 < verified.files < 300, "all": verified.files == 300, "none": verified.files == 0}[how]


def test_of_a_large_file_that_takes_too_long_parts_are_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pieces of a whole one are there; of one that was changed on the medium they are not."""
    root = tmp_path / "guest"
    root.mkdir()
    with open(root / "large", "wb") as file:
        file.write(os.urandom(24 << 20))
        file.truncate(96 << 20)
    monkeypatch.setattr(verify, "_LEAST", 0.01)
    monkeypatch.setattr(verify, "_PART", 0.01)
    copied = run(root, tmp_path / "dest", choices=Choices())
    assert (copied.verified.files, copied.verified.parts, copied.verified.whole) == (0, 1, False)
    assert 0 < copied.verified.size <= 32 << 20 and copied.whole
    assert "parts of 1 large one" in verified_told(copied)

    inner = verify.read_back

    def failing(folder: int, *rest: object) -> object:
        with open(tmp_path / "other/large", "r+b") as file:
            file.write(bytes(24 << 20))
        return inner(folder, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr("core.files.copy.read_back", failing)
    copied = run(root, tmp_path / "other", choices=Choices())
    assert copied.verified.wrong == [b"large"] and not (tmp_path / "other/large").exists()


def test_a_file_that_is_not_finished_bears_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the file system cannot do that, it bears one of ours; the copies are the same."""
    root = tmp_path / "guest"
    root.mkdir()
    (root / "f").write_bytes(os.urandom(5000))
    met: list[list[str]] = []

    def reading(fd: int, into: memoryview, offset: int) -> int:
        met.append([name for name in os.listdir(dest) if name.startswith(os.fsdecode(PART))])
        return os.preadv(fd, [into], offset)

    counts = []
    for way in ("nameless", "named"):
        dest = tmp_path / way
        if way == "named":
            monkeypatch.setattr(Target, "_links_nameless", lambda _self: False)
        assert run(root, dest, read=reading).whole
        assert (dest / "f").read_bytes() == (root / "f").read_bytes()
        counts.append(len(met[-1]))
    assert counts[1] == counts[0] + 1


@needs_root
@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs"])
def test_healthy_files_come_first_and_those_in_bad_places_last(tmp_path: Path, kind: str) -> None:
    """One file meets a bad place; the others that lie around it wait until the healthy ones are safe."""
    image, mount, dest = tmp_path / "image", tmp_path / "mount", tmp_path / "dest"
    mount.mkdir()
    with open(image, "wb") as sink:
        sink.truncate(400 << 20)
    subprocess.run([f"mkfs.{kind}", "-q", image], check=True)
    subprocess.run(["mount", "-t", kind, "-o", "loop", image, mount], check=True)
    try:
        for number in range(12):
            (mount / f"f{number:02d}").write_bytes(os.urandom(300_000))
            os.sync()
        (mount / "sub").mkdir()
        (mount / "sub/far").write_bytes(os.urandom(9_000_000))
        os.sync()
        places = {}
        for path in sorted(mount.rglob("*")):
            if path.is_file():
                fd = os.open(path, os.O_RDONLY)
                places[path.name] = next(extents(fd)).physical
                os.close(fd)
        victim = "f05"
        near = {n for n, at in places.items() if abs(at - places[victim]) < 900_000} - {victim}
        order: list[str] = []

        def read(fd: int, into: memoryview, offset: int) -> int:
            name = os.path.basename(os.readlink(f"/proc/self/fd/{fd}"))
            if name in places and name not in order:
                order.append(name)
            if name == victim and offset < 100_000:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return read_at(fd, into, offset)

        said: list[str] = []
        copied = run(mount, dest, read=read, choices=Choices(tell=said.append))
        late = [name for name in order if name in near and order.index(name) > order.index(victim)]
        assert late and all(f"/{name}" in " ".join(said) for name in late[:5])
        healthy = [n for n in order if abs(places[n] - places[victim]) > 2_000_000]
        assert max(map(order.index, healthy)) < min(map(order.index, late))
        assert [gap.path for gap in copied.unreadable] == [b"/" + victim.encode()]
        for path in dest.rglob("*"):
            if path.is_file() and path.name in places and path.name != victim:
                assert path.read_bytes() == (mount / path.relative_to(dest)).read_bytes()
        assert (dest / "sub").stat().st_mtime_ns == (mount / "sub").stat().st_mtime_ns
        assert check_sums(dest) == []
    finally:
        subprocess.run(["umount", mount], check=True)


@needs_root
def test_a_map_of_the_disk_names_the_files_that_are_zeros(tmp_path: Path) -> None:
    root, dest = tmp_path / "guest", tmp_path / "dest"
    root.mkdir()
    for name in ("good", "hit"):
        (root / name).write_bytes(os.urandom(50_000))
    os.sync()
    fd = os.open(root / "hit", os.O_RDONLY)
    extent = next(extents(fd))
    os.close(fd)
    bad = [(extent.physical + 4096, extent.physical + 8192)]
    said: list[str] = []
    copied = run(root, dest, choices=Choices(bad=bad, tell=said.append))
    assert [gap.path for gap in copied.unreadable] == [b"/hit"]
    assert "4\u202f096 bytes" in copied.unreadable[0].error
    assert "/hit" in said[0] and "/good" not in said[0]
    assert (dest / "hit").read_bytes() == (root / "hit").read_bytes()


def test_a_map_is_read_as_it_is_written() -> None:
    areas = Areas()
    areas.mark(4096, 8192, "-")
    areas.mark(20480, 24576, "?")
    assert unread(mapfile(areas, 1 << 20)) == [(4096, 8192), (20480, 24576)]
    with pytest.raises(ValueError):
        unread("# no map\n0 +\nthis is not\n")


def test_places_that_touch_are_one() -> None:
    places = BadPlaces([])
    assert not places
    with open(__file__, "rb") as file:
        places.learn(file.fileno(), [Gap(0, 10, errno.EIO)])
        assert bool(places) == bool(list(extents(file.fileno())))


def test_a_folder_swapped_for_a_link_during_the_copy_leads_nowhere(tmp_path: Path) -> None:
    """On both sides, again and again, while the copy runs."""
    root, dest, outside = tmp_path / "guest", tmp_path / "dest", tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("of the host")
    for number in range(40):
        (root / f"d{number:02d}" / "x").mkdir(parents=True)
        for inner in range(10):
            (root / f"d{number:02d}" / "x" / f"f{inner}").write_text("guest")
    ended = threading.Event()

    def swap() -> None:
        chance = random.Random(3)
        while not ended.is_set():
            for base in (root, dest):
                place = base / f"d{chance.randrange(40):02d}" / "x"
                try:
                    os.rename(place, place.with_name("away"))
                    os.symlink(outside, place)
                    time.sleep(0.0005)
                    os.unlink(place)
                    os.rename(place.with_name("away"), place)
                except OSError:
                    continue

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _round in range(5):
            try:
                run(root, dest, progress=quiet)
            except SalvageError:
                continue
    finally:
        ended.set()
        thread.join()
    assert os.listdir(outside) == ["secret"]
    assert (outside / "secret").read_text() == "of the host"
    assert list(dest.rglob("secret")) == []
