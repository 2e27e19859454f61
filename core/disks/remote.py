"""An address shown as a file: which program fetches the bytes, and what it is given to be let in.

QEMU's own clients do it where they can. They know no passwords of SSH and no certificates of one's own for a
web server; there nbdkit fetches the bytes (nbdkit-ssh-plugin(1), nbdkit-curl-plugin(1)) and serves them
over a socket in the session's folder. A password goes through a pipe; a key of SSH is the operator's own,
or in their agent.
"""

import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.command import Command, Variable
from core.disks import unreached
from core.disks.addresses import PATIENCE, Address
from core.disks.export import NODE, export, secret_objects
from core.disks.knock import knock
from core.disks.nbdkit import serve_by_nbdkit
from core.errors import SalvageError
from core.i18n import _
from core.secrets import Secret, all_handed
from core.undo.daemons import CouldNotStart
from core.undo.stack import Stack

Watcher = Callable[[Address, Path], None]
_KEY = "password"
_AGENT = "SSH_AUTH_SOCK"


def show(
    stack: Stack,
    found: Address,
    place: Path,
    secret: Secret | None,
    watch: Watcher,
    *,
    with_password: bool,
    tie: bool,
) -> None:
    """Show the bytes at an address at `place`, in the session's own folder.

    `secret` is the password, `with_password` whether there is one, which a plan knows too; `watch` is
    called before the first byte is read from a server. Raises `NeedsPassphrase` where one is
    wanted or wrong, `ToolMissing` and `SalvageError` with what stands in the way.
    """
    planning = stack.runner.planning
    if not planning:
        if found.scheme in ("http", "https") and found.user and not with_password:
            raise unreached.password_needed(found.login)
        knock(found, stack.runner.cancel)
    log: Path | None = None
    with all_handed([secret] if secret and with_password and not planning else []) as pipes:
        if found.authority or (found.scheme == "ssh" and with_password):
            socket = _by_nbdkit(stack, found, place, pipes, with_password=with_password, tie=tie)
            node: dict[str, Any] = {"driver": "nbd", "server": {"type": "unix", "path": str(socket)}}
            log = socket.with_suffix(".log")
            _export(stack, found, place, node, (), (), (), on=(str(socket),), log=log, tie=tie)
        else:
            _by_qemu(stack, found, place, pipes, with_password=with_password, tie=tie)
        if found.host and not planning:
            watch(found, place)
            _require_bytes(found, place, log)


def _by_qemu(
    stack: Stack, found: Address, place: Path, pipes: tuple[int, ...], *, with_password: bool, tie: bool
) -> None:
    node = dict(found.node)
    objects: tuple[str, ...] = ()
    if with_password:
        node["password-secret"] = _KEY
        objects = secret_objects([_KEY], pipes)
    if found.tls:
        objects = ("--object", found.tls.object(_folder(stack, found, place)))
    agent = os.environ.get(_AGENT, "")
    environment = ((_AGENT, agent),) if found.scheme == "ssh" and agent else ()
    _export(stack, found, place, node, objects, environment, pipes, on=(), log=None, tie=tie)


def _export(
    stack: Stack,
    found: Address,
    place: Path,
    node: dict[str, Any],
    objects: tuple[str, ...],
    environment: tuple[tuple[str, str], ...],
    pipes: tuple[int, ...],
    *,
    on: tuple[str, ...],
    log: Path | None,
    tie: bool,
) -> None:
    graph = {
        "node-name": NODE,
        "driver": "raw",
        "read-only": True,
        "file": {**node, "read-only": True},
    }
    why = _("Show the bytes of the image, where they are, as a file; no format is looked at.")
    try:
        export(
            stack,
            graph,
            place,
            tie=tie,
            on=on,
            why=why,
            on_network=found.on_network,
            objects=objects,
            environment=environment,
            pass_fds=pipes,
        )
    except CouldNotStart as error:
        said = (_complaint(log) if log else "") or error.said
        raise unreached.explained(found, said) or error from error


def _require_bytes(found: Address, place: Path, log: Path | None) -> None:
    """Raise `SalvageError` where not even the first byte comes, as of a folder."""
    try:
        with open(place, "rb", buffering=0) as file:
            file.read(512)
    except OSError as error:
        said = _complaint(log) if log else ""
        raise (unreached.explained(found, said) if said else None) or SalvageError(
            _("{address} is there, but not one byte of it can be read.").format(address=found.title),
            _("Nothing was opened."),
            _("See whether it is a file, and not a folder or a device, and whether the server may read it."),
        ) from error


def _complaint(log: Path) -> str:
    """What nbdkit said first that was wrong; it opens the file only when somebody asks it for bytes."""
    lines = log.read_bytes().splitlines() if log.exists() else []
    wrong = [line for line in lines if b"error: " in line]
    return os.fsdecode(wrong[0].partition(b"error: ")[2][:400]) if wrong else ""


def _folder(stack: Stack, found: Address, place: Path) -> Path:
    """A folder with the certificates and keys under the names that QEMU looks for; nothing is copied."""
    folder = place.with_name("tls")
    assert found.tls
    commands = [
        Command(
            ("mkdir", str(folder)),
            why=_("Make a folder for the certificates: QEMU takes a folder with fixed names in it."),
            effect=_("an empty folder in the state folder"),
        ),
        *(
            Command(
                ("ln", "-s", str(path), str(folder / name)),
                why=_("Put the file there by its name; it is not copied."),
                effect=_("a link in the state folder"),
            )
            for name, path in found.tls.files.items()
        ),
    ]
    for command in commands:
        stack.runner.run(command)
    return folder


def _by_nbdkit(
    stack: Stack, found: Address, place: Path, pipes: tuple[int, ...], *, with_password: bool, tie: bool
) -> Path:
    """Serve the bytes over a socket; the socket."""
    socket = next(
        name
        for number in itertools.count(1)
        if not (name := place.with_name(f"a{number}.nbd")).with_suffix(".log").exists()
    )
    password: tuple[str, ...] = ()
    if with_password:
        password = (f"password=-{pipes[0]}",) if pipes else (Variable("password=+$PASSPHRASE_FILE"),)
    serve_by_nbdkit(
        stack,
        (*_words(found), *password, f"timeout={PATIENCE}"),
        socket,
        socket.with_suffix(".log"),
        _("Fetch the bytes from the server: QEMU's own client cannot be let in like that."),
        _("a daemon that serves the bytes over a socket in the state folder"),
        on=(),
        tie=tie,
        pass_fds=pipes,
        on_network=True,
    )
    return socket


def _words(found: Address) -> tuple[str, ...]:
    """The address in the words of nbdkit's plugins."""
    node = found.node
    if found.scheme == "ssh":
        return (
            "ssh",
            f"host={found.host}",
            f"port={found.port}",
            f"user={found.user}",
            f"path={node['path']}",
        )
    return (
        "curl",
        f"url={node['url']}",
        f"cainfo={found.authority}",
        "protocols=https",
        *((f"user={found.user}",) if found.user else ()),
    )
