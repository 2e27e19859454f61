"""nbdkit as a daemon of the session: bytes served read-only over a socket in the state folder; nbdkit(1)."""

from collections.abc import Sequence
from pathlib import Path

from core.command import Command
from core.undo.daemons import serve, tied
from core.undo.stack import Stack


def serve_by_nbdkit(
    stack: Stack,
    words: Sequence[str],
    socket: Path,
    log: Path,
    why: str,
    effect: str,
    *,
    on: tuple[str, ...],
    tie: bool,
    pass_fds: tuple[int, ...] = (),
    on_network: bool = False,
) -> None:
    """Serve at `socket` what `words`, a plugin with parameters and filters, read; what it says goes to `log`.

    With `tie` it dies with this program. Raises `CouldNotStart` with its own words when it ends instead.
    """
    ready = socket.with_suffix(".pid")
    argv = (
        "nbdkit",
        # In the foreground it ends with its parent: what is kept up must go to the background
        *(("--foreground",) if tie else ()),
        "--readonly",
        "--log=stderr",
        f"--unix={socket}",
        f"--pidfile={ready}",
        *words,
    )
    command = Command(
        tied(argv, tie),
        why=why,
        effect=effect,
        captures="SERVER",
        background=tie,
        limits=None,
        on_network=on_network,
    )
    serve(
        stack,
        "nbd",
        command,
        socket,
        log,
        argument=f"--unix={socket}",
        on=on,
        ends_with="kill",
        pass_fds=pass_fds,
        ready=ready,
        forks=not tie,
    )
