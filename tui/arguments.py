"""The arguments of the verbs: what belongs to a disk, a volume, a copy, and so on."""

import argparse
import math
import re
from collections.abc import Sequence
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any, NoReturn

from core.errors import WrongUsage
from core.i18n import _
from core.text import columns, safe

_HEADING = re.compile(r"(?m)^(.*[^\x00-\x7f]):$")


class Help(argparse.HelpFormatter):
    """What is said of a row of several things is its name already; Chinese is not broken within a word."""

    def _format_args(self, action: argparse.Action, default_metavar: str) -> str:
        name = action.metavar
        return (
            name if isinstance(name, str) and "..." in name else super()._format_args(action, default_metavar)
        )

    def _format_usage(self, *given: Any) -> str:
        """Its further lines begin below the first option, behind a word of two columns a character too."""
        narrow = super()._format_usage(*given)
        before = narrow[: narrow.index(self._prog)]
        wider = columns(before) - len(before)
        self._width -= wider
        told = super()._format_usage(*given).rstrip("\n").replace("\n", "\n" + " " * wider)
        self._width += wider
        return told + "\n\n"

    def format_help(self) -> str:
        """The headings end with the colon of the language."""
        return _HEADING.sub(r"\1：", super().format_help())

    def _split_lines(self, text: str, width: int) -> list[str]:
        if text.isascii():
            return super()._split_lines(text, width)
        from tui.breaking import breaks

        whole = " ".join(text.split())
        places = [0, *breaks(whole, width), len(whole)]
        return [whole[begin:end].rstrip() for begin, end in pairwise(places)]


def _dashed(words: Sequence[str]) -> bool:
    """Whether something behind ``--`` would be an option before it; a negative number never is."""
    behind = takewhile(lambda word: word != "--", reversed(words)) if "--" in words else ()
    return any(word.startswith("-") and not word[1:2].isdigit() for word in behind)


class Parser(argparse.ArgumentParser):
    """Says what is wrong as every error is said; the help is broken into lines as the language has it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("formatter_class", Help)
        super().__init__(*args, **options)
        self._apart = False
        """Whether the options are taken out already, and what stands between them stands together."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Options may stand between the arguments, also where some of these may be left out.

        By itself argparse would give those up at the first option. It goes through the words twice for that,
        and forgets that what begins with a dash behind ``--`` is none: then once has to do.
        """
        verbs = any(action.nargs == argparse.PARSER for action in self._get_positional_actions())
        if self._apart or verbs or args is None or {"-h", "--help"}.intersection(args) or _dashed(args):
            return super().parse_known_args(args, namespace)
        self._apart = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._apart = False

    def error(self, message: str) -> NoReturn:
        told = message[:1].upper() + message[1:]
        raise WrongUsage(
            _("{message}.").format(message=safe(told.replace(", ", _(", ")))),  # argparse joins in English
            remedy=_("`{program} --help` shows what can be given.").format(program=self.prog),
        )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not seconds >= 0:
        told = _("{text} is no number of seconds; put the session before --wait")
        raise argparse.ArgumentTypeError(told.format(text=text))
    return seconds


def common_options() -> Parser:
    """The options that every verb takes; they may stand before or after the verb."""
    common = Parser(add_help=False, argument_default=argparse.SUPPRESS)
    group = common.add_argument_group(_("options everywhere"))
    group.add_argument(
        "--dry-run", action="store_true", help=_("print the commands, run none that changes anything")
    )
    group.add_argument(
        "--as-script",
        action="store_true",
        help=_("with --dry-run: as a shell script that does the same by hand and takes down after itself"),
    )
    group.add_argument(
        "--explain", action="store_true", help=_("print each command, why, and how it is undone")
    )
    group.add_argument("--format", metavar="FMT", help=_("open DISK as this image format, no guessing"))
    group.add_argument(
        "--allow",
        metavar="PATH",
        type=Path,
        action="append",
        help=_("let the disk's header point to this path"),
    )
    group.add_argument(
        "--yes",
        action="store_true",
        help=_("answer what a script cannot be asked; never lets an unsafe act through"),
    )
    group.add_argument("--plain", action="store_true", help=_("ASCII only, so in English; no colour"))
    group.add_argument(
        "--linear",
        action="store_true",
        help=_("without a verb: the wizard as questions and answers, line by line, for braille and speech"),
    )
    group.add_argument("--lang", metavar="CODE", help=_("the language of all messages, such as zh_CN"))
    group.add_argument("--json", action="store_true", help=_("one JSON document on standard output"))
    group.add_argument("--state-dir", metavar="DIR", type=Path, help=_("where journals and overlays lie"))
    return common


def add_disk(parser: Parser, *, needed: bool) -> None:
    """DISK, and what can be said of how it is opened."""
    parser.add_argument(
        "disk",
        metavar="DISK",
        nargs=None if needed else "?",
        help=_(
            "an image file, packed or not, a block device, vm:NAME of a virtual machine, or an address:"
            " nbd://, nbd+unix://, ssh://, https://, fat:FOLDER"
        ),
    )
    group = parser.add_argument_group(_("how the disk is opened"))
    group.add_argument(
        "--snapshot", metavar="NAME|ID", help=_("work on this internal snapshot instead of the present state")
    )
    group.add_argument(
        "--member", metavar="NAME", help=_("the disk of that name, where DISK is an archive with several")
    )
    group.add_argument(
        "--backing",
        metavar="PATH",
        type=Path,
        action="append",
        default=[],
        help=_("read this file in the place of a missing backing file; the header stays as it is"),
    )
    group.add_argument(
        "--passphrase-file",
        metavar="PATH",
        action="append",
        default=[],
        help=_("read the passphrase of an encrypted image or volume from this file; - is standard input"),
    )
    group.add_argument(
        "--passphrase-fd",
        metavar="N",
        type=int,
        action="append",
        default=[],
        help=_("read it from this open file descriptor"),
    )
    group.add_argument(
        "--key-file",
        metavar="PATH",
        type=Path,
        action="append",
        default=[],
        help=_("open an encrypted volume with this file, all of whose bytes are its key"),
    )
    group.add_argument(
        "--header",
        metavar="PATH",
        type=Path,
        help=_("the header of an encrypted volume, where it is detached or a backup of it"),
    )


def add_scan(one: Parser) -> None:
    one.add_argument(
        "--scan",
        action="store_true",
        help=_("search the whole disk for lost partitions instead of reading its table"),
    )


def add_volume(one: Parser) -> None:
    """A volume of the disk, and how it is opened."""
    add_scan(one)
    one.add_argument(
        "volume",
        metavar="VOLUME",
        help=_("its id as `inspect` shows it, such as 5, VG/LV, 5/luks or md:NAME"),
    )
    one.add_argument(
        "--way",
        choices=("loop", "kpartx", "nbd"),
        default="loop",
        help=_("how it becomes a device: a loop with offset, kpartx mappings, or qemu-nbd"),
    )
    one.add_argument(
        "--fs", metavar="TYPE", help=_("open it as this file system, where it carries several signatures")
    )
    one.add_argument(
        "--to-end",
        action="store_true",
        help=_("open a file system that is longer than its place beyond that, read-only"),
    )
    one.add_argument(
        "--subvolume",
        metavar="PATH|ID",
        default="",
        help=_("of a btrfs, open this subvolume or snapshot; `subvolumes` lists them, 5 is the top"),
    )
    state = one.add_mutually_exclusive_group()
    state.add_argument(
        "--replay",
        action="store_true",
        help=_("carry out its journal in a throw-away overlay first: what a crash left in there is seen"),
    )
    state.add_argument(
        "--repair", action="store_true", help=_("repair its file system in a throw-away overlay first")
    )


def add_inspect(inspect: Parser) -> None:
    """What `inspect` looks at beyond the disk itself, and what it writes."""
    add_scan(inspect)
    inspect.add_argument(
        "--check", action="store_true", help=_("check the tables of every image of the chain, read-only")
    )
    inspect.add_argument(
        "--candidates",
        action="store_true",
        help=_("look for a missing backing file, and try what is found on a throw-away overlay"),
    )
    inspect.add_argument(
        "--look-in",
        metavar="FOLDER",
        type=Path,
        action="append",
        default=[],
        help=_("with --candidates: look in this folder too"),
    )
    inspect.add_argument(
        "--formats", action="store_true", help=_("tell what can be opened and how, and nothing else")
    )
    inspect.add_argument(
        "--as-sfdisk",
        action="store_true",
        help=_("with --scan: print the table as a script for sfdisk, and nothing else"),
    )
    inspect.add_argument(
        "--write-table",
        metavar="DEST",
        type=Path,
        help=_("with --scan: write the table to a new overlay over DISK, never to DISK itself"),
    )
    inspect.add_argument(
        "--to", metavar="FORMAT", help=_("with --write-table: to a whole copy of DISK, such as qcow2 or raw")
    )


def add_ways_out(undo: Parser) -> None:
    """The options of `undo` for what somebody holds."""
    busy = undo.add_argument_group(_("when a program holds what is to be taken down"))
    busy.add_argument(
        "--wait",
        nargs="?",
        type=_seconds,
        const=math.inf,
        metavar="SECONDS",
        help=_("wait until nobody holds it any more; Ctrl+C ends the waiting"),
    )
    busy.add_argument(
        "--end",
        action="store_true",
        help=_(
            "end the programs that hold it: asks twice, and once more before one that does not end is killed;"
            " with --yes it asks nothing and kills nothing"
        ),
    )
    busy.add_argument(
        "--lazy",
        action="store_true",
        help=_(
            "take a busy mount out of sight: it stays in use, and what it stands on stays up, until the last"
            " program that uses it ends; then `undo` once more takes down the rest"
        ),
    )


def add_rights(parser: Parser) -> None:
    """What lends rights, and is left out unless somebody asks for it."""
    parser.add_argument(
        "--privileges",
        action="store_true",
        help=_("give the copies setuid, setgid, capabilities, and the flags immutable and append-only"),
    )
    parser.add_argument("--devices", action="store_true", help=_("make device nodes"))


def add_find(find: Parser) -> None:
    find.add_argument(
        "words",
        metavar="WORD",
        nargs="*",
        help=_(
            "*.conf, a part of a name, in:/etc, size:+1M, size:-10k, after:2024-05-01, before:DATE,"
            " owner:ann, text:WORDS"
        ),
    )
    find.add_argument(
        "--matters",
        action="store_true",
        help=_("list what matters first, with sizes: homes, settings, databases, mail, web, containers"),
    )


def add_copy(copy: Parser) -> None:
    copy.add_argument(
        "paths",
        metavar="SRC... DEST",
        nargs="+",
        help=_(
            "what to copy, and the folder, .tar, .tar.zst, .zip, -, rsync:PLACE or rclone:PLACE it goes to"
        ),
    )
    group = copy.add_argument_group(_("how it is copied"))
    group.add_argument(
        "--paths",
        dest="whole_paths",
        action="store_true",
        help=_("keep the guest's whole paths below the target; else each source comes under its own name"),
    )
    group.add_argument(
        "--existing",
        choices=("leave", "both", "replace", "ask"),
        default="leave",
        help=_("what becomes of something else that bears the name there; the same content is always kept"),
    )
    group.add_argument(
        "--verify",
        choices=("fits", "all", "none"),
        default="fits",
        help=_("how much of the copy is read back from the target: what costs little time, all, nothing"),
    )
    group.add_argument(
        "--bad-map",
        metavar="FILE",
        type=Path,
        help=_(
            "a map of ddrescue for DISK: what lies in bad places is copied last;"
            " DISK.mapfile or DISK.map is found"
        ),
    )
    add_rights(copy)


def add_lab(lab: Parser) -> None:
    """What `lab` takes."""
    lab.add_argument(
        "action",
        choices=(
            *("list", "start", "ticket", "hint", "hand", "answer", "stop", "check", "talk", "reset"),
            *("record", "class", "add", "verify", "example"),
        ),
        metavar="ACTION",
        help=_(
            "list: what there is; start NAME, ticket NAME: build its disk, the task; hint NAME; hand NAME: a"
            " prompt for plain commands; answer NAME MORE; stop NAME MORE: hand the ticket back; check NAME;"
            " talk NAME: what had happened; reset NAME; record: your results; class FOLDER: those of many;"
            " example, verify FILE, add FILE: a practice disk of your own"
        ),
    )
    lab.add_argument(
        "name", metavar="NAME", nargs="?", help=_("a practice disk; a folder (class); a file (add, verify)")
    )
    lab.add_argument(
        "where",
        metavar="MORE",
        nargs="?",
        help=_(
            "where you recovered to (check); why the ticket is handed back (stop);"
            " the answer to its question (answer)"
        ),
    )
    lab.add_argument("--seed", type=int, metavar="N", help=_("build the disk of this number (start)"))
    lab.add_argument("--learner", metavar="NAME", help=_("whose results they are; else who is logged in"))
