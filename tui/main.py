"""The program's entrance: understands the command line and hands over to a verb or to the wizard."""

import argparse
import math
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from core import __version__, i18n
from core.errors import Exit, SalvageError, WrongUsage
from core.i18n import _
from core.text import safe
from core.undo.state import StateFolder, default_folder
from tui.ascii import to_ascii

Verb = Callable[..., int]

_OF_DISK = {
    "--backing",
    "--header",
    "--key-file",
    "--look-in",
    "--member",
    "--passphrase-fd",
    "--passphrase-file",
    "--snapshot",
}
_WITH_VALUE = frozenset({"--format", "--allow", "--lang", "--state-dir", *_OF_DISK})

_AS_SCRIPT = frozenset({"ls", "cat", "copy", "mount", "check", "backup", "convert"})


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise WrongUsage(
            _("{message}.").format(message=safe(message[:1].upper() + message[1:])),
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


def _common() -> _Parser:
    """The options that every verb takes; they may stand before or after the verb."""
    common = _Parser(add_help=False, argument_default=argparse.SUPPRESS)
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
    group.add_argument("--plain", action="store_true", help=_("ASCII only, no colour"))
    group.add_argument(
        "--linear",
        action="store_true",
        help=_("without a verb: the wizard as questions and answers, line by line, for braille and speech"),
    )
    group.add_argument("--lang", metavar="CODE", help=_("the language of all messages, such as zh_CN"))
    group.add_argument("--json", action="store_true", help=_("one JSON document on standard output"))
    group.add_argument("--state-dir", metavar="DIR", type=Path, help=_("where journals and overlays lie"))
    return common


def _add_disk(parser: _Parser, *, needed: bool) -> None:
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


def _add_ways_out(undo: _Parser) -> None:
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


def _add_rights(parser: _Parser) -> None:
    """What lends rights, and is left out unless somebody asks for it."""
    parser.add_argument(
        "--privileges",
        action="store_true",
        help=_("give the copies setuid, setgid, capabilities, and the flags immutable and append-only"),
    )
    parser.add_argument("--devices", action="store_true", help=_("make device nodes"))


def _add_find(find: _Parser) -> None:
    find.add_argument(
        "words",
        metavar="WORD",
        nargs="*",
        help=_(
            "*.conf, a part of a name, in:/etc, size:+1M, size:-10k, after:2024-05-01, before:…, owner:ann,"
            " text:…"
        ),
    )
    find.add_argument(
        "--matters",
        action="store_true",
        help=_("list what matters first, with sizes: homes, settings, databases, mail, web, containers"),
    )


def _add_copy(copy: _Parser) -> None:
    copy.add_argument(
        "paths",
        metavar="SRC… DEST",
        nargs="+",
        help=_(
            "what to copy, and the folder, .tar, .tar.zst, .zip, -, rsync:PLACE or rclone:PLACE it goes to"
        ),
    )
    group = copy.add_argument_group(_("how it is copied"))
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
        help=_("a map of ddrescue for DISK: what lies in bad places is copied last; DISK.mapfile is found"),
    )
    _add_rights(copy)


def _add_lab(lab: _Parser) -> None:
    """What `lab` takes."""
    lab.add_argument(
        "action",
        choices=(
            *("list", "start", "ticket", "hint", "hand", "stop", "check", "talk", "reset"),
            *("record", "class", "add", "verify", "example"),
        ),
    )
    lab.add_argument(
        "name", metavar="NAME", nargs="?", help=_("a practice disk; a folder (class); a file (add, verify)")
    )
    lab.add_argument(
        "where",
        metavar="FOLDER",
        nargs="?",
        type=Path,
        help=_("where you recovered to (check); why the ticket is handed back (stop)"),
    )
    lab.add_argument("--seed", type=int, metavar="N", help=_("build the disk of this number (start)"))
    lab.add_argument("--learner", metavar="NAME", help=_("whose results they are; else who is logged in"))


def parsers() -> tuple[_Parser, dict[str, _Parser]]:
    """What understands the command line, and what understands each verb: help, man page and completion."""
    common = _common()
    parser = _Parser(
        prog="virt-salvage",
        parents=[common],
        description=_("Guided recovery of files from the disks of crashed virtual machines."),
        epilog=_("Without a verb the wizard opens: virt-salvage [DISK]"),
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"virt-salvage {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar=_("VERB"), parser_class=_Parser)
    made: dict[str, _Parser] = {}

    def verb(name: str, told: str) -> _Parser:
        made[name] = verbs.add_parser(
            name,
            parents=[common],
            help=told,
            description=told,
            allow_abbrev=False,
            prog=f"virt-salvage {name}",
        )
        return made[name]

    def on_disk(name: str, told: str, *, needed: bool = True) -> _Parser:
        one = verb(name, told)
        _add_disk(one, needed=needed)
        return one

    def with_scan(one: _Parser) -> _Parser:
        one.add_argument(
            "--scan",
            action="store_true",
            help=_("search the whole disk for lost partitions instead of reading its table"),
        )
        return one

    def on_volume(name: str, told: str) -> _Parser:
        one = with_scan(on_disk(name, told))
        one.add_argument(
            "volume",
            metavar="VOLUME",
            help=_("its id as `inspect` shows it, such as 5, VG/LV, 5/luks or md:NAME"),
        )
        one.add_argument(
            "--way",
            choices=("loop", "kpartx"),
            default="loop",
            help=_("how it becomes a device: a loop with offset, or kpartx mappings"),
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
        return one

    listing = verb("list", _("the virtual machines, images and devices that can be found here"))
    listing.add_argument(
        "folders", metavar="FOLDER", nargs="*", type=Path, help=_("look for images here as well")
    )
    told = _("format, chain, partition table and contents of a disk")
    inspect = with_scan(on_disk("inspect", told, needed=False))
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
    on_volume("ls", _("list a directory inside")).add_argument("path", metavar="PATH", nargs="?", default="/")
    on_volume("cat", _("write a file's bytes to standard output")).add_argument("path", metavar="PATH")
    _add_find(on_volume("find", _("find what to copy: by name, size, time, owner and content")))
    _add_copy(on_volume("copy", _("copy files and trees out, checked")))
    apply = verb("apply", _("give copies what their first target could not keep"))
    apply.add_argument(
        "sidecar",
        metavar="SIDECAR",
        type=Path,
        help=_("salvage-metadata.jsonl of a copy, or the folder that holds it"),
    )
    apply.add_argument("folder", metavar="FOLDER", nargs="?", type=Path, help=_("where the copies lie now"))
    _add_rights(apply)
    mount = on_volume("mount", _("mount for other tools; stays until `undo`"))
    mount.add_argument("directory", metavar="DIR")
    mount.add_argument("--writable", action="store_true", help=_("writes go to an overlay, never to DISK"))
    on_volume("subvolumes", _("the subvolumes and snapshots of a btrfs"))
    on_volume("check", _("whether a file system is sound; with --replay or --repair, what that changes"))
    backup = on_disk("backup", _("a verified full backup"))
    backup.add_argument("dest", metavar="DEST", nargs="?")
    other = backup.add_mutually_exclusive_group()
    other.add_argument("--verify", action="store_true", help=_("compare DEST, a backup, with DISK"))
    other.add_argument("--find", action="store_true", help=_("list what may be backups of DISK (in DEST)"))
    convert = on_disk("convert", _("the disk in another image format, verified"))
    convert.add_argument("dest", metavar="DEST", help=_("the new image, or a folder for it"))
    convert.add_argument("--to", metavar="FORMAT", required=True, help=_("the format, such as raw or qcow2"))
    commit = verb("commit", _("write what a writable mount's overlay holds back to its disk"))
    commit.add_argument("session", metavar="SESSION", help=_("as `status` shows it"))
    commit.add_argument(
        "--backup", metavar="DEST", type=Path, help=_("where the backup goes; else beside the disk")
    )
    commit.add_argument(
        "--abandon",
        action="store_true",
        help=_("give up a commit that was cut off: the disk stays as it is now, `undo` may take the overlay"),
    )
    verb("status", _("what is up now, session by session"))
    undo = verb("undo", _("take down what a session put up, last first"))
    undo.add_argument("session", metavar="SESSION", nargs="?")
    undo.add_argument("--all", action="store_true", help=_("all sessions that are not at work"))
    _add_ways_out(undo)
    lab = verb("lab", _("the practice disks"))
    _add_lab(lab)
    return parser, made


_DEFAULTS = {
    "dry_run": False,
    "as_script": False,
    "explain": False,
    "format": None,
    "allow": (),
    "yes": False,
    "plain": False,
    "lang": None,
    "linear": False,
    "json": False,
    "state_dir": None,
    "scan": False,
}


def _first_word(arguments: Sequence[str]) -> str | None:
    """The first argument that is no option: a verb, or the wizard's disk."""
    words = iter(arguments)
    for word in words:
        if word == "--":
            return next(words, None)
        if word in _WITH_VALUE:
            next(words, None)
        elif not word.startswith("-"):
            return word
    return None


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of one call; raises WrongUsage for what does not fit.

    Without a verb, `verb` is None and `disk` is the wizard's disk or None.
    """
    parser, verbs = parsers()
    first = _first_word(arguments)
    if first is not None and first not in verbs:
        wizard = _Parser(prog="virt-salvage", parents=[_common()], allow_abbrev=False)
        wizard.add_argument("disk", metavar="DISK")
        options = wizard.parse_args(arguments)
        options.verb = None
    else:
        options = parser.parse_args(arguments)
        if options.verb is None:
            options.disk = None
    for name, value in _DEFAULTS.items():
        if not hasattr(options, name):
            setattr(options, name, value)
    if options.as_script and not options.dry_run:
        raise WrongUsage(_("--as-script prints what a dry run would do; give --dry-run too."))
    if options.as_script and options.verb not in _AS_SCRIPT:
        raise WrongUsage(_("--as-script knows {verbs}.").format(verbs=", ".join(sorted(_AS_SCRIPT))))
    if options.verb == "inspect" and options.as_sfdisk and not options.scan:
        raise WrongUsage(_("--as-sfdisk prints what a search finds; give --scan too."))
    if options.verb == "inspect" and options.write_table and not options.scan:
        raise WrongUsage(_("--write-table writes what a search finds; give --scan too."))
    if options.verb == "inspect" and options.to and not options.write_table:
        raise WrongUsage(_("--to says what --write-table writes; give a target by it."))
    if options.verb == "inspect" and not options.disk and not options.formats:
        raise WrongUsage(_("`inspect` wants a disk; `virt-salvage list` shows those that it can find here."))
    if options.verb == "backup" and not (options.dest or options.find):
        raise WrongUsage(_("`backup` wants the place where the backup goes, or --find."))
    if options.verb == "copy" and len(options.paths) < 2:
        raise WrongUsage(_("`copy` wants at least one source and the folder it goes to."))
    return options


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
    from tui.flow import Flow, Wish
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
    encoding = (sys.stderr.encoding or "ascii").lower().replace("-", "")
    try:
        print(to_ascii(text) if plain or encoding != "utf8" else text, file=sys.stderr)
    except OSError:
        return  # the terminal is gone: there is nobody to tell


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; its exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    i18n.use_language(_language(given))
    plain = "--plain" in given
    try:
        options = parse(given)
        return _run_verb(options) if options.verb else _run_wizard(options)
    except SalvageError as error:
        _complain(error, plain=plain, explain="--explain" in given)
        return error.status
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the edge of the program: a bug is told as a sentence too
        _complain(_bug(error), plain=plain)
        return Exit.FAILED


def _language(given: Sequence[str]) -> str | None:
    """The language that is asked for: the help and a wrong call are told in it already."""
    for word, following in zip(given, [*given[1:], ""], strict=True):
        if word == "--lang" and following:
            return following
        if word.startswith("--lang="):
            return word.partition("=")[2]
    return None


def _bug(error: Exception) -> SalvageError:
    """What a person is told of a mistake in this program; no values, which may be secret."""
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
