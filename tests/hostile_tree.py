"""A tree of every kind of entry that a guest may hold, the same at every call.

`python tests/hostile_tree.py ROOT [COUNT]` builds it by hand, as root.
"""

import os
import random
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path

ODD_NAMES = (
    b"with space",
    b" leading and trailing ",
    b"new\nline",
    b"carriage\rreturn",
    b"tab\there",
    b"quotes \"double\" and 'single'",
    b"back\\slash",
    b"back\\nslash-n",
    b"\xff\xfe invalid utf-8 \xc3",
    b"[@click=app.quit]",
    b"[bold]",
    b"\x1b]0;title\x07\x1b[31mred",
    b"-leading-dash",
    b"--help",
    b"-",
    b"#comment",
    b"*",
    b"~",
    b"$(touch gotcha)",
    b"`touch gotcha`",
    b";rm -rf x",
    "Umlaut äöü 漢字 🚀".encode(),
    "right-to-left \u202egnp.exe".encode(),
    b"...",
    b".hidden",
    b"n" * 255,
    b"\\" * 255,
    b"COM1",
    b"a:b|c?d",
)
TIMES_NS = (
    0,
    1,
    -1_000_000_000,
    -1_500_000_000_000_000_001,
    2**31 * 10**9 + 123456789,
    5_000_000_000 * 10**9 + 999999999,
    1_700_000_000 * 10**9 + 123456789,
)


def build(root: Path, count: int = 2000) -> None:
    """Fill the folder `root`, made if missing, with about `count` entries. Needs root's rights."""
    root.mkdir(parents=True, exist_ok=True)
    top = os.fsencode(root)
    chance = random.Random(20240229)
    for make in (_odd_names, _links, _specials, _sparse, _modes, _attributes, _acls, _times, _markup):
        make(top + b"/" + make.__name__.strip("_").encode())
    made = sum(len(names) + len(folders) for _at, folders, names in os.walk(top))
    _filling(top + b"/filling", max(0, count - made), chance)
    _directory_times(top, chance)


def _file(path: bytes, data: bytes = b"x") -> bytes:
    with open(path, "wb") as sink:
        sink.write(data)
    return path


def _odd_names(at: bytes) -> None:
    os.mkdir(at)
    os.mkdir(at + b"/files")
    os.mkdir(at + b"/folders")
    for name in ODD_NAMES:
        _file(at + b"/files/" + name, b"content of " + name)
        os.mkdir(at + b"/folders/" + name)
        _file(at + b"/folders/" + name + b"/inside", name)


def _markup(at: bytes) -> None:
    for folder, name in ((b"x[", b"foo]"), (b"[", b"]"), (b"[", b"bold]"), (b"[@click='", b"']")):
        os.makedirs(at + b"/" + folder, exist_ok=True)
        _file(at + b"/" + folder + b"/" + name, b"a path that reads like markup")


def _links(at: bytes) -> None:
    os.makedirs(at + b"/deep/er")
    _file(at + b"/one", b"one file with five names")
    for name in (b"/two", b"/deep/three", b"/deep/er/four", b"/deep/er/fi\nve"):
        os.link(at + b"/one", at + name)
    targets = {
        b"/absolute": b"/etc/passwd",
        b"/to-root": b"/",
        b"/out": b"../../../../../../../../etc/shadow",
        b"/self": b"self",
        b"/ping": b"pong",
        b"/pong": b"ping",
        b"/dangling": b"no such thing",
        b"/good": b"one",
        b"/folder": b"deep",
        b"/bytes": b"\xff\xfe\n\x1b[2J",
        b"/long": b"l" * 1000,  # XFS takes 1,024 bytes at most
        b"/dot": b".",
        b"/dotdot": b"..",
    }
    for name, target in targets.items():
        os.symlink(target, at + name)
        os.lchown(at + name, 1000, 1001)
        os.utime(at + name, ns=(10**18, 10**18 + 7), follow_symlinks=False)
    os.link(at + b"/absolute", at + b"/absolute-again", follow_symlinks=False)


def _specials(at: bytes) -> None:
    os.mkdir(at)
    os.mkfifo(at + b"/fifo", 0o640)
    os.mkfifo(at + b"/fifo\n2", 0o000)
    os.link(at + b"/fifo", at + b"/fifo-again")
    # A socket's address holds 107 bytes, so it is bound by a path that is surely short enough.
    here = os.open(at, os.O_PATH)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(b"/proc/self/fd/%d/socket" % here)
    finally:
        os.close(here)
    os.chmod(at + b"/socket", 0o666)
    os.chown(at + b"/fifo", 12, 34)


def devices(at: Path) -> list[bytes]:
    """Device nodes in `at`; their names. Apart from `build`, because a copy does not have them."""
    os.mknod(at / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(at / "loop", stat.S_IFBLK | 0o660, os.makedev(7, 200))
    return [b"null", b"loop"]


def _sparse(at: bytes) -> None:
    os.mkdir(at)
    _file(at + b"/empty", b"")
    for name, size, data in (
        (b"/all-hole", 5 << 20, {}),
        (b"/head", 3 << 20, {0: b"head"}),
        (b"/tail", (3 << 20) + 17, {(3 << 20): b"tail of seventeen"}),
        (b"/middle", 40 << 20, {7 << 20: b"m" * 70000, 21 << 20: b"n" * 3}),
        (b"/odd-size", 1234567, {1000000: b"o"}),
    ):
        with open(at + name, "wb") as sink:
            sink.truncate(size)
            for offset, content in data.items():
                os.pwrite(sink.fileno(), content, offset)
    _file(at + b"/zeros-on-disk", bytes(300000))
    _file(at + b"/big", random.Random(7).randbytes(3 * (1 << 20) + 4097))


def _modes(at: bytes) -> None:
    os.mkdir(at)
    for mode in (0o0000, 0o0400, 0o0777, 0o4755, 0o2755, 0o6711, 0o1644, 0o4000, 0o7777):
        path = _file(at + b"/file-%04o" % mode)
        os.chown(path, 1000, 100)
        os.chmod(path, mode)
        folder = at + b"/folder-%04o" % mode
        os.mkdir(folder)
        _file(folder + b"/inside")
        os.chown(folder, 65534, 4000000000)
        os.chmod(folder, mode)


def _attributes(at: bytes) -> None:
    os.mkdir(at)
    path = _file(at + b"/file")
    os.mkdir(at + b"/folder")
    for owner in (path, at + b"/folder"):
        os.setxattr(owner, "user.plain", b"value")
        os.setxattr(owner, "user.empty", b"")
        os.setxattr(owner, "user.binary", bytes(range(256)))
        os.setxattr(owner, b"user.odd \n\xff", b"odd name")
        os.setxattr(owner, "trusted.secret", b"for root")
    _file(at + b"/capable")
    # cap_net_raw+ep, as capabilities(7) lays it out (VFS_CAP_REVISION_2).
    os.setxattr(
        at + b"/capable", "security.capability", bytes.fromhex("0100000200200000000000000000000000000000")
    )
    os.symlink(b"file", at + b"/link")
    os.setxattr(at + b"/link", "trusted.on-a-link", b"kept", follow_symlinks=False)
    os.mkfifo(at + b"/fifo")
    os.setxattr(at + b"/fifo", "trusted.on-a-fifo", b"kept")


def _acls(at: bytes) -> None:
    os.makedirs(at + b"/folder")
    _file(at + b"/file")
    if shutil.which("setfacl") is None:
        return
    for arguments in (
        [b"-m", b"u:1234:rw,g:99:r,m::rw", at + b"/file"],
        [b"-m", b"u:4321:rwx", at + b"/folder"],
        [b"-d", b"-m", b"u:77:rx,g::---", at + b"/folder"],
    ):
        subprocess.run([b"setfacl", *arguments], check=True, stdin=subprocess.DEVNULL)
    _file(at + b"/folder/inherits")
    os.mkdir(at + b"/folder/inherits-too")
    _file(at + b"/folder/without")
    subprocess.run([b"setfacl", b"-b", at + b"/folder/without"], check=True, stdin=subprocess.DEVNULL)


def _times(at: bytes) -> None:
    os.mkdir(at)
    for number, time_ns in enumerate(TIMES_NS):
        path = _file(at + b"/file-%d" % number)
        os.utime(path, ns=(time_ns + 1, time_ns))
        os.mkdir(at + b"/folder-%d" % number)
        _file(at + b"/folder-%d/inside" % number)
        os.utime(at + b"/folder-%d" % number, ns=(time_ns, time_ns))


def _filling(at: bytes, count: int, chance: random.Random) -> None:
    os.mkdir(at)
    folders = [at]
    for number in range(count - 1):
        parent = chance.choice(folders)
        if number % 25 == 0:
            folders.append(parent + b"/d%d" % number)
            os.mkdir(folders[-1])
            continue
        path = _file(parent + b"/f%d" % number, chance.randbytes(chance.choice((0, 1, 100, 4096, 9000))))
        os.chown(path, chance.randrange(3000), chance.randrange(3000))
        os.chmod(path, chance.choice((0o644, 0o600, 0o755, 0o000)))
        moment = chance.randrange(2 * 10**18)
        os.utime(path, ns=(moment, moment))


def _directory_times(top: bytes, chance: random.Random) -> None:
    for at, folders, _names in os.walk(top, topdown=False):
        for folder in sorted(folders):
            path = at + b"/" + folder
            if not os.path.islink(path) and not at.endswith(b"/times"):
                moment = chance.randrange(2 * 10**18)
                os.utime(path, ns=(moment, moment))


if __name__ == "__main__":
    build(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 2000)
