"""Copies files and trees to another machine by rsync or rclone, used as they are."""

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from core.command import Command
from core.errors import SalvageError
from core.files.checksums import checksums
from core.files.choices import Choices
from core.files.destination import Destination
from core.files.outcome import Copied, Unreadable
from core.files.progress import Listener
from core.files.sources import Road, roads_of
from core.files.tree import GuestTree
from core.files.verify import Verified
from core.i18n import _
from core.runner import CommandFailed, Result, Runner
from core.text import safe

_PARTIAL = frozenset({23, 24})
"""Exit statuses of rsync(1) for a transfer that left something out."""
_PASSED_ON = (
    "SSH_AUTH_SOCK",
    "HOME",
    "XDG_CONFIG_HOME",
    "RCLONE_CONFIG",
    "RCLONE_CONFIG_PASS",
    "RSYNC_PASSWORD",
    "RSYNC_RSH",
)
_SAID = 200
"""Lines of what a program said that are told."""


def send(
    tree: GuestTree,
    sources: Sequence[bytes],
    place: Destination,
    runner: Runner,
    folder: Path,
    progress: Listener,
    choices: Choices,
) -> Copied:
    """Send `sources` to a place that rsync or rclone reach; the checksums lie beside them there.

    `folder` is where the checksums are written before they go. What the programs would have to ask for (a
    passphrase, an unknown host) fails. Raises `SalvageError`, `Cancelled`.
    """
    began = time.monotonic()
    if caution := kept_there(place, choices):
        choices.tell(caution)
    with ExitStack() as stack:
        roads = roads_of(tree, sources, stack, whole=choices.paths)
        paths = _paths(tree, roads, whole=choices.paths and place.shape == "rsync")
        if place.shape == "rsync":
            commands = [_rsync(paths, place, choices)]
        else:
            both = zip(paths, roads, strict=True)
            commands = [_rclone(path, road.there, place, road.place.kind == "dir") for path, road in both]
        unreadable: list[Unreadable] = []
        for command in commands:
            result = _run(runner, command, place)
            if result.status:
                lines = result.err.decode("utf-8", "replace").splitlines()[:_SAID]
                unreadable += [Unreadable(b"/", safe(line)) for line in lines if line.strip()]
        manifest = folder / "SHA256SUMS"
        summed = checksums(tree, roads, manifest, runner.cancel, progress)
        _run(runner, _beside(place, manifest), place)
        verified = Verified()
        if choices.verify == "all":
            _require_same(paths, place, manifest, runner, choices)
            verified = Verified(files=summed.files, size=summed.size, whole=True)
    return Copied(
        files=summed.files,
        directories=summed.directories,
        symlinks=summed.symlinks,
        others=summed.others,
        bytes=summed.size,
        seconds=time.monotonic() - began,
        manifest=manifest,
        unreadable=[*unreadable, *summed.unreadable],
        lost_metadata=[],
        skipped_same=0,
        verified=verified,
    )


def _run(runner: Runner, command: Command, place: Destination) -> Result:
    """Run it; where it is refused, raise what that means: what the program said is only half of it."""
    try:
        return runner.run(command)
    except CommandFailed as error:
        raise SalvageError(
            error.what,
            _("Nothing is lost: the disk was only read. What arrived whole at {path} stays there.").format(
                path=safe(place.remote)
            ),
            _(
                "Look whether that place can be reached, lets this host in without a question and has room,"
                " and send it again: what is there already is passed over."
            ),
        ) from error


def planned(root: Path, sources: Sequence[bytes], place: Destination, choices: Choices) -> list[Command]:
    """The commands of `send`, for a volume that would be mounted at `root`."""
    cut = "/./" if choices.paths and place.shape == "rsync" else "/"
    inside = [os.fsdecode(source).lstrip("/") for source in sources]
    paths = [f"{root}{cut}{one.rstrip('/') if choices.paths else one}" for one in inside]
    if place.shape == "rsync":
        return [_rsync(paths, place, choices)]
    theres = [one.rstrip("/") if choices.paths else one.rpartition("/")[2] for one in inside]
    pairs = zip(paths, theres, strict=True)
    return [_rclone(path, os.fsencode(there), place, path.endswith("/")) for path, there in pairs]


def _environment() -> tuple[tuple[str, str], ...]:
    """What the person has set for these programs; a remote shell asks nothing, because nobody can answer."""
    found = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    found.setdefault("RSYNC_RSH", "ssh -o BatchMode=yes")
    return tuple(sorted(found.items()))


def _paths(tree: GuestTree, roads: Sequence[Road], *, whole: bool = False) -> list[str]:
    """The sources as paths below the mount; their links are resolved already, and no program resolves any.

    With `whole`, as `rsync --relative` takes them: what stands behind the dot is kept.
    """
    root = os.fsencode(tree.root) + (b"/." if whole else b"")
    found = []
    for road in roads:
        end = b"/" if road.name is None else b""
        found.append(os.fsdecode(root + road.place.path.rstrip(b"/") + end))
    return found


def _rsync(paths: Sequence[str], place: Destination, choices: Choices, *, compare: bool = False) -> Command:
    argv = ["rsync", "--recursive", "--links", "--perms", "--times", "--group", "--owner", "--specials"]
    argv += ["--hard-links", "--acls", "--xattrs", "--sparse", "--numeric-ids"]
    argv += ["--partial-dir=.rsync-partial"]
    if choices.paths:
        argv.append("--relative")
    if choices.devices:
        argv.append("--devices")
    if not choices.privileges:
        argv += ["--chmod=Fug-s", "--filter=-x security.capability"]
    if compare:
        argv += ["--dry-run", "--checksum", "--itemize-changes"]
        why = _("Compare what is there with the disk, byte by byte.")
    else:
        why = _("Send the files by rsync.")
        if choices.existing == "both":
            argv += ["--backup", "--suffix=.before"]
        elif choices.existing != "replace":
            argv.append("--ignore-existing")
    return Command(
        (*argv, "--", *paths, place.remote),
        why=why,
        effect="" if compare else _("the files lie in {path}").format(path=safe(place.remote)),
        environment=_environment(),
        good=frozenset({0, *_PARTIAL}),
        limits=None,
    )


def _rclone(path: str, there: bytes, place: Destination, folder: bool) -> Command:
    """To the path that it gets there; `copyto` takes a folder as well, but leaves its empty folders out."""
    words = ("copy", "--create-empty-src-dirs") if folder else ("copyto",)
    into = _joined(place.remote, os.fsdecode(there)) if there else place.remote
    return Command(
        ("rclone", *words, "--metadata", "--links", "--", path, into),
        why=_("Send the files by rclone."),
        effect=_("the files lie in {path}").format(path=safe(into)),
        environment=_environment(),
        limits=None,
    )


def _joined(remote: str, name: str) -> str:
    return remote + name if remote.endswith((":", "/")) else f"{remote}/{name}"


def _beside(place: Destination, manifest: Path) -> Command:
    """The checksums beside what was sent."""
    if place.shape == "rsync":
        argv = ("rsync", "--times", "--", str(manifest), place.remote.rstrip("/") + "/")
    else:
        argv = ("rclone", "copy", "--", str(manifest), place.remote)
    return Command(
        argv,
        why=_("Send the checksums."),
        effect=_("SHA256SUMS lies in {path}").format(path=safe(place.remote)),
        environment=_environment(),
        limits=None,
    )


def _require_same(
    paths: Sequence[str], place: Destination, manifest: Path, runner: Runner, choices: Choices
) -> None:
    """Let the programs compare what is there now; raises `SalvageError` where it differs."""
    if place.shape == "rsync":
        result = runner.run(_rsync(paths, place, choices, compare=True))
        wrong = [line for line in result.out.splitlines() if line.startswith((b"<", b">"))]
        if wrong:
            raise _differs(place, wrong[0].decode("utf-8", "replace"))
        return
    check = Command(
        ("rclone", "checksum", "sha256", "--download", "--one-way", "--", str(manifest), place.remote),
        why=_("Read everything back and compare it with the checksums."),
        environment=_environment(),
        limits=None,
    )
    try:
        runner.run(check)
    except CommandFailed as error:
        raise _differs(place, error.what) from error


def _differs(place: Destination, what: str) -> SalvageError:
    told = _("What lies in {path} is not what was sent: {what}")
    return SalvageError(
        told.format(path=safe(place.remote), what=safe(what)),
        _("The disk is untouched."),
        _("Run the same command again; if it differs again, do not trust that place."),
    )


def kept_there(place: Destination, choices: Choices) -> str:
    """What a person should know before: these programs do not tell file by file what was not kept."""
    if place.shape == "rclone":
        return _(
            "rclone keeps content, and modes, owners and times where the other end has them; no hard links,"
            " attributes, pipes and holes. Symbolic links are files that end in .rclonelink."
        )
    if not choices.privileges:
        return _("Setuid, setgid and capabilities are not given to the copies unless you ask for that.")
    return ""
