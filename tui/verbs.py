"""The command line as a whole: which verbs there are, what each takes, and what does not fit together."""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from core import __version__
from core.errors import WrongUsage
from core.i18n import _, enumerated
from core.text import safe
from tui.arguments import (
    Parser,
    add_copy,
    add_disk,
    add_find,
    add_inspect,
    add_lab,
    add_rights,
    add_volume,
    add_ways_out,
    common_options,
)

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


class _Verbs:
    """The verbs of the command line, each with the options everywhere."""

    def __init__(self, parser: Parser, common: Parser) -> None:
        self._adding = parser.add_subparsers(dest="verb", metavar=_("VERB"), parser_class=Parser)
        self._common = common
        self.made: dict[str, Parser] = {}

    def verb(self, name: str, told: str) -> Parser:
        self.made[name] = self._adding.add_parser(
            name,
            parents=[self._common],
            help=told,
            description=told,
            allow_abbrev=False,
            prog=f"virt-salvage {name}",
        )
        return self.made[name]

    def on_disk(self, name: str, told: str, *, needed: bool = True) -> Parser:
        one = self.verb(name, told)
        add_disk(one, needed=needed)
        return one

    def on_volume(self, name: str, told: str) -> Parser:
        one = self.on_disk(name, told)
        add_volume(one)
        return one


def parsers() -> tuple[Parser, dict[str, Parser]]:
    """What understands the command line, and what understands each verb: help, man page and completion."""
    common = common_options()
    parser = Parser(
        prog="virt-salvage",
        parents=[common],
        description=_("Guided recovery of files from the disks of crashed virtual machines."),
        epilog=_("Without a verb the wizard opens: virt-salvage [DISK]"),
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"virt-salvage {__version__}",
        help=_("show program's version number and exit"),
    )
    verbs = _Verbs(parser, common)
    _add_bringing_back(verbs)
    _add_whole_disks(verbs)
    _add_sessions(verbs)
    add_lab(verbs.verb("lab", _("the practice disks")))
    return parser, verbs.made


def _add_bringing_back(verbs: _Verbs) -> None:
    """From the disks that there are to files that were brought back."""
    listing = verbs.verb("list", _("the virtual machines, images and devices that can be found here"))
    listing.add_argument(
        "places",
        metavar="PLACE",
        nargs="*",
        help=_("a folder to look for images in as well, or the address of a disk or of a server of NBD"),
    )
    inspect = verbs.on_disk(
        "inspect", _("format, chain, partition table and contents of a disk"), needed=False
    )
    add_inspect(inspect)
    verbs.on_volume("ls", _("list a directory inside")).add_argument(
        "path", metavar="PATH", nargs="?", default="/"
    )
    verbs.on_volume("cat", _("write a file's bytes to standard output")).add_argument("path", metavar="PATH")
    add_find(verbs.on_volume("find", _("find what to copy: by name, size, time, owner and content")))
    add_copy(verbs.on_volume("copy", _("copy files and trees out, checked")))
    apply = verbs.verb("apply", _("give copies what their first target could not keep"))
    apply.add_argument(
        "sidecar",
        metavar="SIDECAR",
        type=Path,
        help=_("salvage-metadata.jsonl of a copy, or the folder that holds it"),
    )
    apply.add_argument("folder", metavar="FOLDER", nargs="?", type=Path, help=_("where the copies lie now"))
    add_rights(apply)
    mount = verbs.on_volume("mount", _("mount for other tools; stays until `undo`"))
    mount.add_argument("directory", metavar="DIR")
    mount.add_argument("--writable", action="store_true", help=_("writes go to an overlay, never to DISK"))
    verbs.on_volume("subvolumes", _("the subvolumes and snapshots of a btrfs"))
    verbs.on_volume(
        "check", _("whether a file system is sound; with --replay or --repair, what that changes")
    )


def _add_whole_disks(verbs: _Verbs) -> None:
    backup = verbs.on_disk("backup", _("a verified full backup"))
    backup.add_argument("dest", metavar="DEST", nargs="?")
    other = backup.add_mutually_exclusive_group()
    other.add_argument("--verify", action="store_true", help=_("compare DEST, a backup, with DISK"))
    other.add_argument("--find", action="store_true", help=_("list what may be backups of DISK (in DEST)"))
    other.add_argument(
        "--lvm-snapshot",
        action="store_true",
        help=_(
            "copy a logical volume from a snapshot that is made of it and removed again: its machine may run"
            " on; the copy is as after a power cut"
        ),
    )
    convert = verbs.on_disk("convert", _("the disk in another image format, verified"))
    convert.add_argument("dest", metavar="DEST", help=_("the new image, or a folder for it"))
    convert.add_argument("--to", metavar="FORMAT", required=True, help=_("the format, such as raw or qcow2"))


def _add_sessions(verbs: _Verbs) -> None:
    commit = verbs.verb("commit", _("write what a writable mount's overlay holds back to its disk"))
    commit.add_argument("session", metavar="SESSION", help=_("as `status` shows it"))
    commit.add_argument(
        "--backup", metavar="DEST", type=Path, help=_("where the backup goes; else beside the disk")
    )
    commit.add_argument(
        "--abandon",
        action="store_true",
        help=_("give up a commit that was cut off: the disk stays as it is now, `undo` may take the overlay"),
    )
    verbs.verb("status", _("what is up now, session by session"))
    undo = verbs.verb("undo", _("take down what a session put up, last first"))
    undo.add_argument("session", metavar="SESSION", nargs="?")
    undo.add_argument("--all", action="store_true", help=_("all sessions that are not at work"))
    add_ways_out(undo)


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
    _refuse_before_verb(arguments, parser, verbs)
    first = _first_word(arguments)
    if first is not None and first not in verbs:
        wizard = Parser(prog="virt-salvage", parents=[common_options()], allow_abbrev=False)
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
    _fit_together(options)
    return options


def _refuse_before_verb(arguments: Sequence[str], parser: Parser, verbs: Iterable[str]) -> None:
    """Raises WrongUsage for an option of a verb that stands before it: argparse would blame another word."""
    everywhere = {name for action in parser._actions for name in action.option_strings}
    for at, word in enumerate(arguments):
        name = word.partition("=")[0]
        if word in verbs or word == "--":
            return
        if word.startswith("--") and name not in everywhere:
            verb = next((one for one in arguments[at:] if one in verbs), None)
            if verb:
                told = _("{option} belongs to the verb and stands behind it: virt-salvage {verb} {option}")
                raise WrongUsage(told.format(option=safe(name), verb=verb))


def _fit_together(options: argparse.Namespace) -> None:
    """Raises WrongUsage for options that make sense only with others."""
    if options.as_script and not options.dry_run:
        raise WrongUsage(_("--as-script prints what a dry run would do; give --dry-run too."))
    if options.as_script and options.verb not in _AS_SCRIPT:
        raise WrongUsage(_("--as-script knows {verbs}.").format(verbs=enumerated(sorted(_AS_SCRIPT))))
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
