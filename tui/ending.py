"""How the wizard ends: what is up comes down, the terminal is given back, and what stays is told."""

import contextlib
import os
import sys
import termios
import threading
from typing import Any

from textual.worker import WorkerFailed

from core.errors import Exit, SalvageError
from core.i18n import _
from core.text import safe
from tui.flow import Flow

RESET = (
    b"\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?2004l\x1b[<u\x1b[?7h\x1b[?1049l\x1b[?25h\x1b[0m\r\n"
)
"""Mouse, paste and keyboard modes off, wrapping on, alternate screen left, cursor shown: ctlseqs of xterm."""
PATIENCE = 60.0
"""Seconds that a signal waits for the kernel to let go of what is up."""
Attributes = list[Any]
"""What termios(3) knows of a terminal."""


def terminal() -> Attributes | None:
    """How the terminal is set; None where there is none."""
    try:
        return termios.tcgetattr(sys.__stdin__) if sys.__stdin__ else None
    except (termios.error, ValueError):
        return None


def end_now(flow: Flow, before: Attributes | None) -> None:
    """Take everything down, give the terminal back as it was, and end the program with status 130.

    What the kernel does not let go of in a minute stays in the journal, for `virt-salvage undo`.
    """
    flow.operator.cancel.cancel()
    flow.outside.cancel.cancel()
    told = []
    try:
        flow.operator.submit(flow.do_close).result(PATIENCE)
        flow.outside.submit(flow.do_forget_gone).result(PATIENCE)
    except SalvageError as error:
        told.append(error.paragraph())
    except TimeoutError:
        told.append(
            _("Not everything could be taken down yet. Later: {command}").format(
                command=flow.state.command("undo", "--all")
            )
        )
    finally:  # nobody hears this thread, and a program without a terminal must end
        lines = "".join(f"{line}\r\n" for line in told + left_up(flow))
        # A terminal that takes nothing must not keep the program: after two seconds it ends anyway.
        writer = threading.Thread(target=_give_back, args=(before, lines), daemon=True)
        writer.start()
        writer.join(2)
        os._exit(Exit.INTERRUPTED)


def _give_back(before: Attributes | None, lines: str) -> None:
    with contextlib.suppress(OSError, termios.error):
        if before is not None:
            termios.tcsetattr(2, termios.TCSANOW, before)
        os.write(2, RESET + lines.encode("ascii", "replace"))


def left_up(flow: Flow) -> list[str]:
    """What stays mounted because it was asked for, and how it is taken down."""
    told = _("{path} stays mounted. Take it down with: {command}")
    return [
        told.format(path=safe(shown.point), command=flow.state.command("undo", shown.session))
        for shown in flow.in_sight
    ]


def end(flow: Flow) -> list[str]:
    """Take down what is still up whatever ended the wizard; what is to be said of that, and of the host."""
    flow.operator.cancel.cancel()
    lines = []
    try:
        flow.operator.submit(flow.do_close).result()
    except SalvageError as error:
        lines.append(error.paragraph())
    finally:
        flow.operator.close()
        flow.outside.close()
    kept = {shown.session for shown in flow.in_sight}
    proof = flow.proof and flow.proof.still(flow.state.sessions).without(kept)
    return [*lines, *left_up(flow), *([proof.sentence()] if proof else [])]


def told(failure: BaseException) -> str:
    """What ended the wizard, for a person: a mistake of ours by its place, never with what it knew."""
    if isinstance(failure, SalvageError):
        return failure.paragraph()
    if isinstance(failure, WorkerFailed):
        failure = failure.error
    place = failure.__traceback__
    while place and place.tb_next:
        place = place.tb_next
    where = f"{os.path.basename(place.tb_frame.f_code.co_filename)}:{place.tb_lineno}" if place else "?"
    return _(
        "The wizard met an error of its own ({kind} at {where}). The disk is untouched, and what was put up"
        " was taken down. The command line does the same work: virt-salvage --help."
    ).format(kind=type(failure).__name__, where=where)
