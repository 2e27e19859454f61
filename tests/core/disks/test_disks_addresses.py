"""Disks at an address: served by qemu-nbd, a web server with TLS, and a folder seen as a disk."""

import http.server
import json
import os
import re
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from core import host
from core.disks.addresses import address, is_address
from core.disks.model import Disk
from core.errors import Exit, WrongUsage
from core.runner import SystemRunner
from core.session import Session
from core.undo.state import StateFolder
from tests.conftest import Guard, Program, needs_root
from tests.core.disks.small_guest import guest, image

AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"


@contextmanager
def served(folder: Path, path: Path, format: str, *words: str) -> Iterator[None]:
    known = folder / "server.pid"
    known.unlink(missing_ok=True)
    daemon = subprocess.Popen(
        ["qemu-nbd", "--read-only", "--persistent", f"--pid-file={known}", "-f", format, *words, path]
    )
    try:
        while not known.exists():
            assert daemon.poll() is None
            time.sleep(0.05)
        yield
    finally:
        daemon.terminate()
        daemon.wait()


class Ranges(http.server.SimpleHTTPRequestHandler):
    """Serves parts of files, as every web server does that disks lie on."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._send(body=True)

    def do_HEAD(self) -> None:
        self._send(body=False)

    def _send(self, *, body: bool) -> None:
        data = Path(self.translate_path(self.path)).read_bytes()
        wanted = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first, last = 0, len(data) - 1
        if wanted:
            first, last = int(wanted[1]), min(int(wanted[2] or last), last)
        self.send_response(206 if wanted else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(last - first + 1))
        if wanted:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        self.end_headers()
        if body:
            self.wfile.write(data[first : last + 1])

    def log_message(self, *_words: Any) -> None:
        pass


@contextmanager
def _web(folder: Path) -> Iterator[tuple[int, Path]]:
    """A web server with a certificate that nobody knows; its port, and the certificate."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate]
    subprocess.run([*made, *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def handler(*words: Any) -> Ranges:
        return Ranges(*words, directory=str(folder))

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1], certificate
        server.shutdown()


@needs_root
def test_an_export_of_another_host(tmp_path: Path, program: Program, guard: Guard) -> None:
    made = image(tmp_path, "web.qcow2", "qcow2")
    guard.watch(made)
    with served(tmp_path, made, "qcow2", "-b", "127.0.0.1", "-p", "10919", "-x", "web"):
        read = program("cat", "nbd://127.0.0.1:10919/web", "1", "/letter")
        assert (read.status, read.out) == (0, "secret\n"), read.err
        shown = json.loads(program("inspect", "--json", "nbd://127.0.0.1:10919/web").out)["disk"]
        assert (shown["path"], shown["format"]) == ("nbd://127.0.0.1:10919/web", "raw")
        missing = program("inspect", "nbd://127.0.0.1:10919/other")
        assert missing.status == Exit.FAILED
        assert "json" not in missing.err and "{" not in missing.err
    assert program("inspect", "nbd://127.0.0.1:10919/web").status == Exit.FAILED


@needs_root
def test_the_disk_is_called_as_it_was_named(tmp_path: Path, guard: Guard) -> None:
    packed = image(tmp_path, "web.qcow2", "qcow2")
    subprocess.run(["gzip", packed], check=True)
    guard.watch(given := tmp_path / "web.qcow2.gz")
    with Session(StateFolder(tmp_path / "state"), SystemRunner()) as session:
        disk = session.select(str(given))
        assert (disk.name, disk.given) == ("web.qcow2.gz", str(given))
        assert disk.apart and "unpacked" in disk.apart
        assert session.inspect().volumes[0].content == "ext4"
        again = session.select(str(tmp_path / "web.qcow2.raw"))
        assert (again.name, again.apart) == ("web.qcow2.raw", "")
        assert not session.stack.standing


@needs_root
def test_an_export_behind_a_socket(tmp_path: Path, program: Program, guard: Guard) -> None:
    made = image(tmp_path, "web.qcow2", "qcow2")
    guard.watch(made)
    with served(tmp_path, made, "raw", "-k", str(tmp_path / "s")):
        given = f"nbd+unix:///?socket={tmp_path}/s"
        assert program("cat", given, "1", "/letter").out == "secret\n"
        assert json.loads(program("inspect", "--json", given).out)["disk"]["format"] == "qcow2"
        assert program("copy", "--dry-run", given, "1", "/letter", tmp_path / "out").status == 0
        assert program("backup", given, tmp_path / "copy.qcow2").status == 0
        assert program("convert", given, tmp_path / "copy.raw", "--to", "raw").status == 0
        assert program("backup", "--dry-run", given, tmp_path / "copy2.qcow2").status == 0
    assert (tmp_path / "copy.qcow2").read_bytes() == made.read_bytes()
    assert (tmp_path / "copy.raw").read_bytes() == (tmp_path / "web.qcow2.raw").read_bytes()


@needs_root
@pytest.mark.skipif(not Path(AUTHORITIES).exists(), reason="no list of certificate authorities here")
def test_a_file_on_a_web_server(tmp_path: Path, program: Program, guard: Guard, state_dir: Path) -> None:
    made = image(tmp_path, "web.qcow2", "qcow2")
    guard.watch(made)
    with _web(tmp_path) as (port, certificate):
        given = f"https://localhost:{port}/web.qcow2"
        refused = program("inspect", given)
        assert refused.status == Exit.FAILED
        assert "certificate" in refused.err
        words = [sys.executable, "-m", "tui.main", "--state-dir", state_dir, "cat", given, "1", "/letter"]
        script = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
        trusted = ["unshare", "--mount", "sh", "-c", script, "sh", certificate, AUTHORITIES, *words]
        read = subprocess.run(trusted, capture_output=True, text=True, timeout=120)
        assert (read.returncode, read.stdout) == (0, "secret\n"), read.stderr


@needs_root
def test_a_file_of_another_host_by_ssh(tmp_path: Path, program: Program) -> None:
    """Against no server: the address is understood, and what ssh says is told."""
    failed = program("inspect", "ssh://127.0.0.1:1/srv/web.qcow2")
    assert failed.status == Exit.FAILED
    assert "Traceback" not in failed.err and "{" not in failed.err
    node = address("ssh://me@host:2222/srv/a%20b.qcow2").node
    assert node["server"] == {"host": "host", "port": "2222"}
    assert (node["user"], node["path"]) == ("me", "/srv/a b.qcow2")
    assert node["host-key-check"] == {"mode": "known_hosts"}


@needs_root
def test_a_folder_as_a_disk(tmp_path: Path, program: Program, guard: Guard) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "letter.txt").write_text("secret\n")
    os.utime(folder / "letter.txt", (1589716800, 1589716800))
    guard.watch(folder / "letter.txt")
    shown = json.loads(program("inspect", "--json", f"fat:{folder}").out)
    assert shown["volumes"][0]["content"] == "vfat"
    late = "a month too late" in " ".join(shown["volumes"][0]["problems"])
    assert late == (not host.kernel_reads("vfat"))
    listed = json.loads(program("ls", "--json", f"fat:{folder}", "1").out)["entries"]
    (letter,) = (one for one in listed if one["name"] == "letter.txt")
    assert letter["mtime"][:10] == ("2020-06-17" if late else "2020-05-17")
    read = program("cat", f"fat:{folder}", "1", "/letter.txt")
    assert (read.status, read.out) == (0, "secret\n"), read.err
    with open(folder / "large", "wb") as large:
        large.truncate(600 << 20)
    assert "too large" in program("inspect", f"fat:{folder}").err
    assert program("inspect", f"fat:{folder}/letter.txt").status == Exit.FAILED


@needs_root
def test_a_backup_that_takes_its_time(tmp_path: Path, program: Program, guard: Guard) -> None:
    """What a daemon shows has the time of each look, and has not changed for that."""
    made = guest(tmp_path)
    guard.watch(made)
    nbdkit = ["nbdkit", "--foreground", "--readonly", "-U", tmp_path / "s", "--filter=rate", "file", made]
    with subprocess.Popen([*nbdkit, "rate=32M"]) as server:
        while not (tmp_path / "s").exists():
            time.sleep(0.05)
        backed = program("backup", f"nbd+unix:///?socket={tmp_path}/s", tmp_path / "copy.raw")
        server.terminate()
    assert backed.status == 0, backed.err
    assert (tmp_path / "copy.raw").read_bytes() == made.read_bytes()


@needs_root
def test_a_server_that_dies_is_a_sentence(tmp_path: Path, program: Program, guard: Guard) -> None:
    made = guest(tmp_path)
    guard.watch(made)
    nbdkit = ["nbdkit", "--foreground", "--readonly", "-U", tmp_path / "s", "--filter=error", "file", made]
    with subprocess.Popen([*nbdkit, "error-pread-rate=100%"]) as server:
        while not (tmp_path / "s").exists():
            time.sleep(0.05)
        failed = program("inspect", f"nbd+unix:///?socket={tmp_path}/s")
        server.terminate()
    assert failed.status in (Exit.FAILED, Exit.IN_PART)
    assert "read" in failed.err


@pytest.mark.parametrize(
    "given",
    [
        "nbd:///export",
        "nbd+unix:///export",
        "nbd+unix:///?socket=relative",
        "ssh://host",
        "https://host/",
        "https://host:99999/x",
        "https://me:word@host/x",
        "ssh://[::1/x",
    ],
)
def test_an_address_that_is_not_whole_is_wrong_usage(given: str) -> None:
    with pytest.raises(WrongUsage) as caught:
        address(given)
    assert "word" not in caught.value.paragraph().replace("password", "")


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("nbd://host:10809/web", "web"),
        ("nbd://host", "host"),
        ("nbds://host/web?tls-certificates=/etc/keys", "web"),
        ("nbd+unix:///?socket=/run/web.sock", "web.sock"),
        ("ssh://me@host/srv/web%20one.qcow2", "web one.qcow2"),
        ("https://host/web.qcow2#ca=/root/ca.pem", "web.qcow2"),
        ("fat:/srv/shared", "shared"),
        ("/srv/web.qcow2.gz", "web.qcow2.gz"),
    ],
)
def test_what_a_disk_that_lies_elsewhere_is_called(given: str, name: str) -> None:
    shown = Disk(Path("/state/image1"), given, "raw", 0, 0, (), (0, 0), 0, origin=given)
    assert shown.name == name


def test_what_is_no_address_is_a_path() -> None:
    assert not any(map(is_address, ("json:{}", "iscsi://h/x", "/a/nbd://x", "nbd:h:1", "./fat:x", "rbd:x")))


@needs_root
def test_kept_up_it_serves_on_and_goes_with_undo(
    tmp_path: Path, program: Program, guard: Guard, state_dir: Path
) -> None:
    made = image(tmp_path, "web.qcow2", "qcow2")
    subprocess.run(["xz", "-k", made], check=True)
    guard.watch(tmp_path / "web.qcow2.xz")
    point = tmp_path / "point"
    mounted = program("mount", tmp_path / "web.qcow2.xz", "1", point)
    assert mounted.status == 0, mounted.err
    assert (point / "letter").read_text() == "secret\n"
    told = json.loads(program("status", "--json").out)["sessions"][0]
    assert {entry["what"] for entry in told["entries"]} >= {"nbd", "fuse-export", "loop", "mount"}
    assert program("undo", "--all").status == 0
    assert not os.path.ismount(point)
    assert list((state_dir / "sessions").iterdir()) == []


@needs_root
def test_an_export_of_a_dying_disk_costs_its_bad_blocks_alone(
    tmp_path: Path, program: Program, guard: Guard
) -> None:
    """qemu-nbd hangs up at each error, and kernels of today read several blocks of a file as one."""
    tree, made, out, rules = (tmp_path / name for name in ("tree", "disk.raw", "out", "rules"))
    tree.mkdir()
    data = bytearray(os.urandom(15 << 20))
    (tree / "large").write_bytes(data)
    with open(made, "wb") as file:
        file.truncate(32 << 20)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-b", "4096", "-d", tree, made], check=True)
    ask = ["debugfs", "-R", "blocks /large", made]
    blocks = subprocess.run(ask, check=True, capture_output=True, text=True).stdout.split()
    rule = '[inject-error]\nevent = "read_aio"\nerrno = "5"\nsector = "{}"\n'
    lost = (1000, 3000)
    rules.write_text("".join(rule.format(int(blocks[block]) * 8 + 3) for block in lost))
    guard.watch(made)
    socket = tmp_path / "socket"
    with served(tmp_path, Path(f"blkdebug:{rules}:{made}"), "raw", f"--socket={socket}", "--shared=4"):
        copied = program("copy", f"nbd+unix:///?socket={socket}", "disk", "/large", out)
    assert copied.status == 4, copied.err
    for block in lost:
        data[block * 4096 : (block + 1) * 4096] = bytes(4096)
    got = (out / "large").read_bytes()
    assert [
        at // 4096 for at in range(0, len(data), 4096) if got[at : at + 4096] != data[at : at + 4096]
    ] == []
    assert "8\u202f192 of 15\u202f728\u202f640 bytes" in copied.err
