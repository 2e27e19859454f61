"""What the programs of QEMU would do with the images of a lab; see qemu-img(1), qemu-storage-daemon(1)."""

from core.disks.vet import vet
from core.errors import PointsOutside, SalvageError
from core.i18n import _, enumerated
from core.lab.hand.ground import Ground
from core.lab.hand.judgement import Judgement
from core.lab.hand.options import Options
from core.runner import SystemRunner

_VALUED = {
    "-f", "-F", "-O", "-T", "-t", "-b", "-o", "-S", "-s", "-l", "-a", "-c", "-d", "-m", "-r", "-B",
    "--object", "--output", "--size", "--backing", "--target-format", "--source-format",
}  # fmt: skip
_VALUED_IN = {
    "check": _VALUED - {"-s", "-a", "-c", "-d", "-l", "-m"},
    "compare": _VALUED - {"-s", "-a", "-c", "-d", "-l", "-m"},
    "convert": _VALUED - {"-c", "-a", "-d"},
    "snapshot": _VALUED - {"-l", "-s", "-b", "-r"},
}
_PROTOCOLS = ("nbd", "ssh", "http", "https", "ftp", "ftps", "rbd", "iscsi", "nfs", "json", "fat")
_READS = ("convert", "compare", "check", "map", "measure", "dd", "bench", "bitmap")


def qemu_img(words: tuple[str, ...], ground: Ground) -> Judgement:
    """Which image is read, and which is written to."""
    judged = Judgement()
    if len(words) < 2:
        return judged
    verb = words[1]
    options = Options.of(words[2:], _VALUED_IN.get(verb, _VALUED))
    _no_network(judged, words)
    _no_host_files(judged, ground, words)
    written: list[str] = []
    if verb in ("convert", "dd"):
        judged.changes = True
        written = (
            options.operands[-1:]
            if verb == "convert"
            else [o[3:] for o in options.operands if o.startswith("of=")]
        )
    elif (
        verb in ("create", "resize", "rebase", "commit", "amend", "bench", "bitmap")
        or (verb == "snapshot" and options.has("-a", "-c", "-d"))
        or (verb == "check" and options.has("-r"))
    ):
        judged.changes = True
        written = options.operands[:1]
    for word in written:
        if ground.original(word):
            judged.warn(_writes(verb, options), "written")
    if verb in _READS and ground.must_stop and any(ground.original(word) for word in ground.named(words[2:])):
        judged.warn(_(ground.must_stop), "opened")
    if options.has("-U", "--force-share"):
        judged.note(
            _("-U passes over the lock of whoever has it open: what is read may be half old and half new.")
        )
    return judged


def _writes(verb: str, options: Options) -> str:
    if verb == "snapshot" and options.has("-a"):
        return _(
            "-a writes the snapshot over the present state of the original: all that came after it is gone."
        )
    if verb == "snapshot":
        return _("This writes to the original image.")
    if verb == "check":
        return _("-r repairs in place: it writes to the original, and what it decides cannot be taken back.")
    if verb == "rebase":
        return _(
            "rebase writes another backing file into the header of the original. A new overlay can name"
            " it instead."
        )
    if verb == "commit":
        return _("commit writes the changes into the backing file.")
    return _("{verb} would overwrite or change the original image.").format(verb=verb)


_VALUED_BY_DAEMON = ("--blockdev", "--export", "--pidfile", "--object")
_DAEMON = ("--daemonize", *_VALUED_BY_DAEMON)


def qemu_daemon(words: tuple[str, ...], ground: Ground) -> Judgement:
    """qemu-storage-daemon: of which image it makes a view, and whether that can be written to."""
    judged = Judgement(changes=True)
    _no_network(judged, words)
    _no_host_files(judged, ground, words)
    options = Options.of(words[1:], _VALUED_BY_DAEMON)
    if not options.has("--daemonize") or not options.has("--pidfile"):
        judged.refuse(
            _("Give it --daemonize and --pidfile, so that the prompt comes back and you can end it.")
        )
    if any(name not in _DAEMON for name, _value in options.given) or options.operands:
        judged.refuse(_("Here it takes {names}.").format(names=enumerated(_DAEMON)))
    if any(not export.startswith("type=fuse,") for export in options.values("--export")):
        judged.refuse(_("Here it exports with type=fuse only: nothing listens for others."), "outside")
    for word in words[1:]:
        parts = word.split(",")
        if ground.must_stop and any(ground.original(value) for value in ground.named((word,))):
            judged.warn(_(ground.must_stop), "opened")
        for name in ("filename=", "file.filename="):
            path = next((part.removeprefix(name) for part in parts if part.startswith(name)), "")
            if path and ground.original(path) and "read-only=on" not in parts:
                judged.warn(
                    _(
                        "Without read-only=on the image is opened for writing, which already"
                        " changes the header"
                        " of a qcow2."
                    ),
                    "writable",
                )
    return judged


def _no_network(judged: Judgement, words: tuple[str, ...]) -> None:
    for word in words:
        if word.partition(":")[0] in _PROTOCOLS and ":" in word:
            judged.refuse(_("{word} leads out of the practice disk's folder.").format(word=word), "outside")


def _no_host_files(judged: Judgement, ground: Ground, words: tuple[str, ...]) -> None:
    """No image of which the header points to a file outside of the lab is opened by any program of QEMU."""
    if words[:2] == ("qemu-img", "info"):
        return
    for word in dict.fromkeys(ground.named(words[1:])):
        if not ground.image_format(word):
            continue
        try:
            vet(str(ground.path(word)), None, (), SystemRunner())
        except PointsOutside as error:
            judged.refuse(
                _("{what} This would read that file and show it to you as a part of the disk.").format(
                    what=error.what
                ),
                "outside",
            )
        except SalvageError:
            continue  # a missing backing file and the like: that the program tells by itself
