"""The prompt of a lab: what it says of a command before it runs it, and what it never runs."""

import json
from pathlib import Path

import pytest

from core.errors import WrongUsage
from core.lab import catalogue, labs
from core.lab.hand.attaching import told_offset
from core.lab.hand.history import History
from core.lab.hand.judgement import Weight
from core.lab.hand.line import parsed
from core.lab.hand.prompt import Prompt
from core.lab.lab import Place
from core.runner import SystemRunner
from tests.conftest import Guard, needs_root

LAB = catalogue.named("offset-by-hand", Path("/nonexistent"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("hand") / "labs"
    labs.start(LAB, place, SystemRunner(), seed=5)
    return place


@pytest.fixture
def prompt(folder: Path) -> Prompt:
    return Prompt(LAB, folder, SystemRunner())


def said(prompt: Prompt, line: str) -> str:
    return " ".join(remark.text for remark in prompt.enter(labs.told(line, LAB, prompt.folder)).remarks)


# -- the line ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("ls -la", ("ls", "-la")),
        ("sudo ls", ("ls",)),
        ("echo $((63*512)) $(( 10 / 3 ))", ("echo", "32256", "3")),
        ("echo 'a b' \"c d\"", ("echo", "a b", "c d")),
        ("ls # what is here", ("ls",)),
        ("mount -o loop,offset=$((2*3)) a b", ("mount", "-o", "loop,offset=6", "a", "b")),
    ],
)
def test_a_line_is_one_command(tmp_path: Path, line: str, words: tuple[str, ...]) -> None:
    read = parsed(line, tmp_path)
    assert read is not None
    assert read.words == words


@pytest.mark.parametrize("line", ["ls | wc", "ls; rm x", "ls && ls", "ls `id`", "cat $(id)", "a 'b", "ls &",
                                  "echo $((1/0))", "echo $((2**99))"])  # fmt: skip
def test_there_is_no_shell_behind_it(tmp_path: Path, line: str) -> None:
    with pytest.raises(WrongUsage):
        parsed(line, tmp_path)


def test_patterns_are_matched_in_the_lab_only(tmp_path: Path) -> None:
    (tmp_path / "a.raw").touch()
    (tmp_path / "b.raw").touch()
    read = parsed("ls *.raw *.none", tmp_path)
    assert read and read.words == ("ls", "a.raw", "b.raw", "*.none")


# -- where an offset leads -----------------------------------------------------------------------------

PLACES = (Place(1, 2048, 4095, "83"), Place(2, 8192, 20479, "05"), Place(5, 8255, 20479, "83"))


@pytest.mark.parametrize(
    ("offset", "words"),
    [
        (8255, "the sector at which partition 5 starts"),
        (8192 * 512, "the extended one"),
        (8255 * 1024, "times 1024"),
        (20480 * 512, "partition 2 ends"),
        (2048 * 512 + 1024, "1024 bytes behind its start"),
        (5000 * 512, "begins no partition: it lies in a gap"),
        (0, "partition table lies there"),
        (12225 * 512, "how long partition 5 is"),
    ],
)
def test_a_wrong_offset_is_explained_and_the_right_one_not_told(offset: int, words: str) -> None:
    told = told_offset(offset, PLACES)
    assert words in told
    assert str(8255 * 512) not in told


def test_a_right_offset_is_not_talked_about() -> None:
    assert told_offset(2048 * 512, PLACES) == told_offset(8255 * 512, PLACES) == ""


@needs_root
def test_a_wrong_offset_runs_and_fails_and_is_explained(prompt: Prompt, folder: Path) -> None:
    (folder / LAB.name / "mnt").mkdir(exist_ok=True)
    reply = prompt.enter(labs.told("mount -o ro,noload,loop,offset={p2.start} {name} mnt", LAB, folder))
    assert reply.status
    assert "mount and losetup count bytes" in reply.remarks[0].text


# -- what harms, and what leads outside ------------------------------------------------------------------


def test_a_write_to_the_original_is_run_only_when_it_is_given_twice(tmp_path: Path) -> None:
    disk = labs.start(LAB, tmp_path / "labs", SystemRunner(), seed=5)
    before = disk.read_bytes()[:4096]
    prompt = Prompt(LAB, tmp_path / "labs", SystemRunner())
    line = f"dd if=/dev/zero of={disk.name} bs=512 count=1 conv=notrunc"
    first = prompt.enter(line)
    assert first.waits
    assert "original" in first.remarks[0].text
    assert disk.read_bytes()[:4096] == before
    prompt.enter("ls")
    assert prompt.enter(line).waits, "another command in between takes the consent back"
    assert prompt.enter(line).status == 0
    assert disk.read_bytes()[:512] == bytes(512)
    assert [one.kind for one in labs.check(LAB, tmp_path / "labs").breaches] == ["written"]


@pytest.mark.parametrize(
    "line",
    [
        "cat /etc/passwd",
        "cp {name} /tmp/x",
        "ls ../..",
        "rm -rf /",
        "dd if={name} of=/dev/sda",
        "mount -o ro /dev/sda1 mnt",
        "losetup -D",
        "losetup -d /dev/loop999",
        "umount -a",
        "umount /",
        "kill 1",
        "kill -TERM -1",
        "kill -9 0",
        "kill",
        "pkill -f --pidfile x y",
        "mount -t proc x mnt",
        "mount -t overlay -o lowerdir=/etc x mnt",
        "mount --bind {name} mnt",
        "grep --file=/etc/shadow x {name}",
        "fuser -k {name}",
        "blkid {name}",
        "sort -o x {name}",
        "sfdisk -l --delete {name}",
        "parted -s {name} mklabel gpt",
        "sgdisk -p -Z {name}",
        "debugfs -w -R 'lcd /etc' {name}",
        "debugfs -R 'stats' -f x {name}",
        "qemu-storage-daemon --daemonize --pidfile p --nbd-server addr.type=inet",
        "qemu-storage-daemon --daemonize --pidfile p --export type=nbd,id=x",
        "qemu-nbd {name}",
        "qemu-io -c 'open /etc/passwd' {name}",
        "qemu-img convert --image-opts -O raw driver=raw,file.filename=/etc/passwd x",
        "date -s 2001-01-01",
        "losetup /dev/loop0 /etc/passwd",
        "pkill qemu",
        "qemu-img convert json:{} out.raw",
        "qemu-img info nbd://localhost/x",
        "ls > /etc/x",
        "debugfs -R 'dump /home /etc/passwd' {name}",
        "debugfs -w -R 'write /etc/passwd x' {name}",
        "find . -exec rm {} +",
        "sh -c id",
        "python3",
        "rm -rf .",
        "dd if=/dev/zero of=big",
        "sfdisk {name}",
        "truncate -s 0 ../lab.json",
        "ln -s /etc/passwd x",
    ],
)
def test_what_leads_out_of_the_lab_is_never_run(prompt: Prompt, line: str, guard: Guard) -> None:
    guard.watch(prompt.folder / LAB.name / LAB.disk.name)
    for _time in range(2):
        reply = prompt.enter(labs.told(line, LAB, prompt.folder))
        assert reply.status is None
        assert max(remark.weight for remark in reply.remarks) is Weight.REFUSAL


def test_a_link_out_of_the_lab_is_told_for_what_it_is(prompt: Prompt, folder: Path) -> None:
    (folder / LAB.name / "letter").symlink_to("/etc/passwd")
    assert "leads out of the practice disk's folder" in said(prompt, "cat letter")
    assert History.of(folder / LAB.name).first("outside")


def test_output_goes_to_a_file_and_is_safe_to_show(prompt: Prompt, folder: Path) -> None:
    assert prompt.enter("echo kept > out.txt").status == 0
    assert (folder / LAB.name / "out.txt").read_text() == "kept\n"
    (folder / LAB.name / "evil").write_bytes(b"\x1b[2J\xff\n")
    assert prompt.enter("cat evil").output == ("\\x1b[2J\\xff",)


def test_what_is_typed_is_written_down(prompt: Prompt, folder: Path) -> None:
    prompt.enter("echo once")
    last = (folder / LAB.name / "by-hand.jsonl").read_text().splitlines()[-1]
    assert json.loads(last)["line"] == "echo once"


def test_a_reset_takes_away_what_was_made_at_the_prompt(tmp_path: Path) -> None:
    place = tmp_path / "labs"
    disk = labs.start(LAB, place, SystemRunner(), seed=5)
    prompt = Prompt(LAB, place, SystemRunner())
    prompt.enter("mkdir mine")
    prompt.enter("touch other")
    (disk.parent / "notes").write_text("mine")
    labs.reset(LAB, place)
    assert [path.name for path in disk.parent.iterdir()] == ["notes"]


def test_the_words_of_the_prompt(prompt: Prompt) -> None:
    assert "fdisk" in " ".join(prompt.enter("ticket").output)
    assert any("Known programs" in line for line in prompt.enter("help").output)
    assert any("stop running:" in line for line in prompt.enter("stop").output)
    assert "not solved" in " ".join(prompt.enter("check").output)


def test_a_question_mark_is_help(prompt: Prompt) -> None:
    reply = prompt.enter(" ? ")
    assert reply.output == prompt.enter("help").output and not reply.remarks
