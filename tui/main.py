"""The program's entrance: hands over to a verb or to the wizard, and tells a person what went wrong."""

import argparse
import errno
import io
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from core import i18n
from core.ascii import takes_all, to_ascii
from core.errors import Exit, SalvageError, WrongUsage
from core.i18n import _
from core.text import keep_to_ascii, safe
from core.undo.state import StateFolder, default_folder
from tui.verbs import parse

Verb = Callable[..., int]

_VERBS = {
    "list": "listing.list_disks",
    "inspect": "inspecting.inspect",
    "ls": "files.ls",
    "cat": "files.cat",
    "find": "finding.find_files",
    "copy": "copying.copy",
    "apply": "copying.apply",
    "mount": "mounting.mount",
    "check": "checking.check",
    "subvolumes": "files.subvolumes",
    "status": "mounting.status",
    "undo": "mounting.undo",
    "backup": "backing.backup",
    "convert": "converting.convert",
    "commit": "committing.commit",
    "lab": "labs.lab",
}
"""Module and function of each verb in `tui.cli`; only the one that is called is imported."""


def _run_verb(options: argparse.Namespace) -> int:
    from tui.cli.common import Context

    module, name = _VERBS[options.verb].split(".")
    verb: Verb = getattr(import_module(f"tui.cli.{module}"), name)
    context = Context(options, _state(options))
    with context.stopping():
        return verb(context)


def _run_wizard(options: argparse.Namespace) -> int:
    from tui.app import run
    from tui.plain import terminal_problem

    if options.linear:
        return _run_linear(options)
    problem = terminal_problem()
    if problem:
        raise WrongUsage(problem)
    return run(_state(options), options.disk, options.plain, options.format, options.allow)


def _run_linear(options: argparse.Namespace) -> int:
    from tui.chosen import Wish
    from tui.flow import Flow
    from tui.linear.walk import run

    wish = Wish(options.disk, options.format, tuple(options.allow)) if options.disk is not None else None
    return run(Flow(_state(options)), wish, plain=options.plain)


def _state(options: argparse.Namespace) -> StateFolder:
    return StateFolder(options.state_dir or default_folder())


def _complain(error: SalvageError, *, plain: bool, explain: bool = False) -> None:
    text = "virt-salvage: " + safe(error.paragraph())
    if explain:
        from tui.cli.holding import ways_told

        text = "\n".join((text, *ways_told(error)))
    try:
        print(to_ascii(text) if plain or not takes_all(sys.stderr) else text, file=sys.stderr)
    except OSError:
        return  # the terminal is gone: there is nobody to tell


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; its exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    i18n.use_language(_language(given))
    plain = "--plain" in given
    _stand_in()
    keep_to_ascii(plain or not all(map(takes_all, (sys.stdout, sys.stderr))))
    try:
        options = parse(given)
        return _run_verb(options) if options.verb else _run_wizard(options)
    except SalvageError as error:
        if not isinstance(error.__cause__, BrokenPipeError):  # whoever closed the pipe wants no more
            _complain(error, plain=plain, explain="--explain" in given)
        return error.status
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the edge of the program: a bug is told as a sentence too
        _complain(_bug(error), plain=plain)
        return Exit.FAILED


def _stand_in() -> None:
    """Let no answer be a mistake, for a byte that is no UTF-8 may belong to a path; and no closed stream.

    The next files that are opened would be taken for those by what is run.
    """
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115 - for as long as the program runs
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")


def _language(given: Sequence[str]) -> str | None:
    """The language that is asked for: the help and a wrong call are told in it already."""
    for at, word in enumerate(given):
        if word == "--lang" and at + 1 < len(given):
            return given[at + 1]
        if word.startswith("--lang="):
            return word.partition("=")[2]
    return None


_OF_THE_SYSTEM = frozenset(
    {
        *(errno.EIO, errno.EBADMSG, errno.EUCLEAN, errno.ENOSPC, errno.EDQUOT, errno.EROFS),
        *(errno.ESTALE, errno.ENOTCONN, errno.ENODEV, errno.ENXIO),
    }
)
"""What a medium or file system answers that is damaged, full or gone; EBADMSG is a wrong checksum of ext4."""


def _bug(error: Exception) -> SalvageError:
    """What a person is told of a mistake in this program; no values, which may be secret."""
    if isinstance(error, OSError) and error.errno in _OF_THE_SYSTEM:
        place = f"{error.filename}: " if error.filename else ""
        return SalvageError(
            _("A medium or a file system of this host reported an error: {error}.").format(
                error=f"{place}{error.strerror}"
            ),
            _("The disk is only ever read, and what was put up has been taken down as far as possible."),
            _("`dmesg` shows what the kernel says of it; `virt-salvage status` whether anything is left."),
        )
    where = traceback.extract_tb(error.__traceback__)[-1]
    return SalvageError(
        _("This is a mistake in virt-salvage itself: {kind} at {file}:{line}.").format(
            kind=type(error).__name__, file=safe(Path(where.filename).name), line=where.lineno
        ),
        _("The disk is only ever read, and what was put up has been taken down as far as possible."),
        _("`virt-salvage status` shows whether anything is left. Please report this line."),
    )


if __name__ == "__main__":
    sys.exit(main())
