"""Whether somebody answers at an address at all, before a daemon is started that would wait for that.

QEMU's clients wait for a server for as long as the kernel does. Here the wait ends with the operator's wish,
and in any case after `PATIENCE` seconds, a name that is not resolved included.
"""

import os
import queue
import socket
import threading
import time

from core.cancel import CancelToken
from core.disks.addresses import PATIENCE, Address
from core.errors import SalvageError
from core.i18n import _
from core.text import safe

_GREETINGS = {"ssh": b"SSH-", "nbd": b"NBDMAGIC", "nbds": b"NBDMAGIC"}
"""What a server says first: RFC 4253, 4.2; the NBD project's doc/proto.md. A web server waits."""
_MOST = 8 << 10
"""Bytes that a server of SSH may say before its greeting, as it may."""


def knock(found: Address, cancel: CancelToken) -> None:
    """Raise `SalvageError` where nobody answers as the address says; `Cancelled` when told to stop."""
    if not found.host:
        return
    answers: queue.SimpleQueue[SalvageError | None] = queue.SimpleQueue()

    def ask() -> None:
        try:
            _greeted(found)
        except SalvageError as error:
            answers.put(error)
        else:
            answers.put(None)

    threading.Thread(target=ask, daemon=True).start()
    deadline = time.monotonic() + PATIENCE + 1
    while answers.empty():
        cancel.check()
        if time.monotonic() > deadline:
            raise _silent(found)
        cancel.wait(0.02)
    if error := answers.get():
        raise error


def _greeted(found: Address) -> None:
    deadline = time.monotonic() + PATIENCE
    greeting = _GREETINGS.get(found.scheme, b"")
    try:
        with socket.create_connection((found.host, found.port), PATIENCE) as peer:
            heard = b""
            while greeting and greeting not in heard and len(heard) < _MOST:
                peer.settimeout(max(0.01, deadline - time.monotonic()))
                piece = peer.recv(256)
                if not piece:
                    break
                heard += piece
    except TimeoutError as error:
        raise _silent(found) from error
    except (OSError, UnicodeError) as error:
        raise _unreached(found, error) from error
    if greeting not in heard:
        raise SalvageError(
            _("What answers at {host}, port {port}, is no server of {kind}.").format(
                host=safe(found.host), port=found.port, kind="SSH" if found.scheme == "ssh" else "NBD"
            ),
            _("Nothing was opened."),
            _("Check the port in the address, and what runs there."),
        )


def _silent(found: Address) -> SalvageError:
    return SalvageError(
        _("{host} does not answer at port {port}: nothing came for {count} seconds.").format(
            host=safe(found.host), port=found.port, count=PATIENCE
        ),
        _("Nothing was opened."),
        _("See whether it runs, and whether a firewall stands between; then try again."),
    )


def _unreached(found: Address, error: Exception) -> SalvageError:
    if isinstance(error, socket.gaierror | UnicodeError):
        return SalvageError(
            _("No host is called {host} here.").format(host=safe(found.host)),
            _("Nothing was opened."),
            _("Check the spelling and the name server, or give its number."),
        )
    if isinstance(error, ConnectionRefusedError):
        return SalvageError(
            _("{host} refuses the connection at port {port}: nothing listens there.").format(
                host=safe(found.host), port=found.port
            ),
            _("Nothing was opened."),
            _("See whether the server runs there, and at which port: HOST:PORT in the address names it."),
        )
    reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
    return SalvageError(
        _("{host} cannot be reached at port {port}: {reason}.").format(
            host=safe(found.host), port=found.port, reason=safe(reason)
        ),
        _("Nothing was opened."),
        _("See whether it runs, and whether a firewall stands between; then try again."),
    )
