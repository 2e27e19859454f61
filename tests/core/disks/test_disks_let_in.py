"""Servers that want to be shown something, or show something themselves: TLS of NBD, certificates and
passwords of web servers. The servers are qemu-nbd and Python's own."""

import base64
import http.server
import json
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from core.errors import NeedsPassphrase, SalvageError, WrongUsage
from core.runner import SystemRunner
from core.secrets import Secret
from core.session import Session
from core.undo.state import StateFolder
from tests.conftest import Guard, Program, needs_root
from tests.core.disks.small_guest import guest, image
from tests.core.disks.ssh_host import leaks
from tests.core.disks.test_disks_addresses import Ranges, served

pytestmark = needs_root
WORD = "open, sesame!"


def _openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True)


def authority(folder: Path, name: str) -> Path:
    """A certificate authority of its own; the folder with ``ca-cert.pem`` and ``ca-key.pem``."""
    place = folder / name
    place.mkdir()
    made = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    subject = ("-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    _openssl(*made, *subject, "-keyout", place / "ca-key.pem", "-out", place / "ca-cert.pem")
    return place


def certified(by: Path, folder: Path, kind: str, host: str = "127.0.0.1", days: int = 2) -> None:
    """A key and a certificate for a ``server`` or ``client``, under the names that QEMU looks for."""
    folder.mkdir(exist_ok=True)
    key, asked, made = (folder / f"{kind}-{name}.pem" for name in ("key", "request", "cert"))
    more = folder / f"{kind}.conf"
    names = f"subjectAltName={'IP' if host[0].isdigit() else 'DNS'}:{host}\n" if kind == "server" else ""
    use = f"extendedKeyUsage={kind}Auth\nkeyUsage=digitalSignature\nbasicConstraints=CA:FALSE\n"
    more.write_text(names + use)
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    _openssl("req", *curve, "-nodes", "-subj", f"/CN={kind}", "-keyout", key, "-out", asked)
    ca = ("-CA", by / "ca-cert.pem", "-CAkey", by / "ca-key.pem", "-CAcreateserial", "-extfile", more)
    _openssl("x509", "-req", "-in", asked, *ca, "-days", str(days), "-out", made)
    if not (folder / "ca-cert.pem").exists():
        (folder / "ca-cert.pem").write_bytes((by / "ca-cert.pem").read_bytes())


def _session(state_dir: Path) -> Session:
    return Session(StateFolder(state_dir), SystemRunner())


def _failure(state_dir: Path, given: str) -> str:
    with _session(state_dir) as session, pytest.raises(SalvageError) as caught:
        session.select(given)
    assert "{" not in caught.value.what
    return caught.value.paragraph()


def _contents(state_dir: Path, given: str) -> list[str | None]:
    with _session(state_dir) as session:
        session.select(given)
        return [volume.content for volume in session.inspect().volumes]


def test_nbd_over_tls_with_certificates(tmp_path: Path, guard: Guard, state_dir: Path) -> None:
    made = image(tmp_path, "web.qcow2", "qcow2")
    guard.watch(made)
    ours, theirs = authority(tmp_path, "ours"), authority(tmp_path, "theirs")
    certified(ours, tmp_path / "server", "server")
    certified(ours, tmp_path / "client", "client")
    folder = str(tmp_path / "server").replace(",", ",,")
    creds = f"tls-creds-x509,id=t,endpoint=server,verify-peer=yes,dir={folder}"
    words = ("-b", "127.0.0.1", "-p", "10941", "-x", "web", "--object", creds, "--tls-creds", "t")
    with served(tmp_path, made, "raw", *words):
        given = "nbds://127.0.0.1:10941/web?tls-certificates="
        assert _contents(state_dir, f"{given}{tmp_path}/client") == ["ext4"]
        assert "nbds://" in _failure(state_dir, "nbd://127.0.0.1:10941/web")
        assert "authority that is not trusted" in _failure(state_dir, f"{given}{theirs}")
        assert "authority that is not trusted" in _failure(state_dir, "nbds://127.0.0.1:10941/web")
        assert "client-cert.pem" in _failure(state_dir, f"{given}{ours}")
        named = f"{given}{tmp_path}/client&tls-hostname=other.example"
        assert "made for another name" in _failure(state_dir, named)
    assert os.listdir(state_dir / "sessions") == []


def test_nbd_over_tls_with_a_shared_key(
    tmp_path: Path, guard: Guard, state_dir: Path, program: Program
) -> None:
    made = guest(tmp_path)
    guard.watch(made)
    (tmp_path / "server").mkdir()
    for name, key in (("server/keys.psk", "ab" * 32), ("right", "ab" * 32), ("wrong", "cd" * 32)):
        (tmp_path / name).write_text(f"ann:{key}\n")
    creds = f"tls-creds-psk,id=t,endpoint=server,dir={tmp_path}/server"
    words = ("-b", "127.0.0.1", "-p", "10942", "--object", creds, "--tls-creds", "t")
    with served(tmp_path, made, "raw", *words):
        given = "nbds://ann@127.0.0.1:10942/?tls-psk-file="
        read = program("cat", "--explain", f"{given}{tmp_path}/right", "1", "/letter")
        assert (read.status, read.out) == (0, "secret\n"), read.err
        assert "ab" * 32 not in read.err
        assert "TLS" in _failure(state_dir, f"{given}{tmp_path}/wrong")
    with served(tmp_path, made, "raw", "-b", "127.0.0.1", "-p", "10942"):
        assert "offers no TLS" in _failure(state_dir, f"{given}{tmp_path}/right")


class _Guarded(Ranges):
    """Lets in one user, and everybody to what is called open."""

    def _send(self, *, body: bool) -> None:
        right = "Basic " + base64.b64encode(f"ann:{WORD}".encode()).decode()
        if "open" not in self.path and self.headers.get("Authorization") != right:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="disks"')
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif not Path(self.translate_path(self.path)).is_file():
            self.send_error(404)
        else:
            super()._send(body=body)


@contextmanager
def web_server(folder: Path, certificates: Path | None) -> Iterator[int]:
    """A web server that shows a folder, with TLS where it has a certificate; its port."""

    def handler(*words: Any) -> _Guarded:
        return _Guarded(*words, directory=str(folder))

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        if certificates:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificates / "server-cert.pem", certificates / "server-key.pem")
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()


def _unlocked(state_dir: Path, given: str, word: str) -> tuple[list[str | None], list[str]]:
    """What is in it, and where the password can be read meanwhile."""
    with _session(state_dir) as session:
        session.ask = lambda path: session.unlock(path, Secret.typed(word))
        session.select(given)
        found = [volume.content for volume in session.inspect().volumes]
        ran = [" ".join(one.command.argv) for one in session.runner.transcript]
        return found, [*leaks(state_dir, word), *(line for line in ran if word in line)]


def test_a_web_server_of_an_authority_of_ones_own(
    tmp_path: Path, guard: Guard, state_dir: Path, program: Program
) -> None:
    made = image(tmp_path, "open.qcow2", "qcow2")
    guard.watch(made)
    ours, theirs = authority(tmp_path, "ours"), authority(tmp_path, "theirs")
    certified(ours, tmp_path / "server", "server")
    certified(ours, tmp_path / "named", "server", "other.example")
    (tmp_path / "locked.qcow2").write_bytes(made.read_bytes())
    with web_server(tmp_path, tmp_path / "server") as port:
        given = f"https://127.0.0.1:{port}/open.qcow2"
        assert "#ca=/path/ca.pem" in _failure(state_dir, given)
        assert _contents(state_dir, f"{given}#ca={ours}/ca-cert.pem") == ["ext4"]
        assert "not trusted" in _failure(state_dir, f"{given}#ca={theirs}/ca-cert.pem")
        locked = f"https://ann@127.0.0.1:{port}/locked.qcow2#ca={ours}/ca-cert.pem"
        assert _unlocked(state_dir, locked, WORD) == (["ext4"], [])
        word = tmp_path / "word"
        word.write_text(WORD)
        told = program(
            "copy", "--dry-run", "--passphrase-file", word, locked, "1", "/letter", tmp_path / "out"
        )
        assert told.status == 0 and WORD not in told.out + told.err and "$PASSPHRASE_FILE" in told.out, (
            told.err
        )
        with pytest.raises(NeedsPassphrase, match="did not take that password of ann"):
            _unlocked(state_dir, locked, "wrong")
        assert "There is no" in _failure(
            state_dir, f"https://127.0.0.1:{port}/open.gone#ca={ours}/ca-cert.pem"
        )
    with web_server(tmp_path, tmp_path / "named") as port:
        given = f"https://127.0.0.1:{port}/open.qcow2#ca={ours}/ca-cert.pem"
        assert "made for another name" in _failure(state_dir, given)


def test_a_web_server_that_wants_a_password(
    tmp_path: Path, guard: Guard, state_dir: Path, program: Program
) -> None:
    made = image(tmp_path, "locked.qcow2", "qcow2")
    guard.watch(made)
    word = tmp_path / "word"
    word.write_text(WORD + "\n")
    with web_server(tmp_path, None) as port:
        given = f"http://ann@127.0.0.1:{port}/locked.qcow2"
        assert _unlocked(state_dir, given, WORD) == (["ext4"], [])
        with pytest.raises(NeedsPassphrase, match="did not take that password of ann"):
            _unlocked(state_dir, given, "wrong")
        with _session(state_dir) as session, pytest.raises(NeedsPassphrase, match="wants a password of ann"):
            session.select(given)
        assert "https://NAME@HOST" in _failure(state_dir, given.replace("ann@", ""))
        shown = program("inspect", "--json", "--passphrase-file", word, given)
        assert json.loads(shown.out)["disk"]["format"] == "qcow2", shown.err
        assert WORD not in shown.out + shown.err
        notes = " ".join(json.loads(shown.out)["disk"]["problems"])
        assert "anybody on the way" in notes and "password too" in notes


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("nbds://host/x?tls-verify-peer=false", "could be anybody"),
        ("nbds://host/x?tls-certificates=/nowhere", "no ca-cert.pem"),
        ("nbds://host/x?tls-psk-file=relative", "there is no relative"),
        ("nbds://host/x?colour=red", "colour means nothing"),
        ("https://host/x#ca=relative", "#ca=/root/ca.pem"),
        ("http://host/x#ca=/etc/passwd", "#ca=/root/ca.pem"),
        ("https://me:word@host/x", "--passphrase-file"),
    ],
)
def test_an_address_that_asks_for_the_impossible(given: str, told: str, state_dir: Path) -> None:
    with _session(state_dir) as session, pytest.raises(WrongUsage) as caught:
        session.select(given)
    assert told in caught.value.paragraph()
