"""What the programs that read and write files would do in a lab: coreutils(7), debugfs(8), e2fsck(8),
sfdisk(8)."""

import os
import re
import shlex

from core.i18n import _
from core.lab import safety
from core.lab.hand.ground import Ground
from core.lab.hand.judgement import Judgement
from core.lab.hand.options import Options


def cp(words: tuple[str, ...], ground: Ground) -> Judgement:
    """A copy: what is lost on the way, and whether links are followed."""
    judged = Judgement(changes=True)
    options = Options.of(words[1:], ("-t", "--target-directory", "-S", "--suffix"))
    sources, dest = options.operands[:-1], (options.operands or [""])[-1]
    _targets(judged, ground, [dest])
    _readers(judged, ground, tuple(sources))
    whole = options.has("-a", "--archive")
    if options.has("-L", "--dereference") or (options.has("-r", "-R", "--recursive") and options.has("-H")):
        judged.note(
            _(
                "-L follows links: one that says /etc/shadow is a link into the guest for the guest,"
                " but here it"
                " leads to the file of this host, and that is what is copied."
            )
        )
    elif sources and not whole and any(ground.path(one).is_dir() for one in sources):
        judged.note(_("Without --archive owners, times and links as such are not kept."))
    return judged


def mv(words: tuple[str, ...], ground: Ground) -> Judgement:
    judged = Judgement(changes=True)
    operands = Options.of(words[1:], ("-t", "--target-directory")).operands
    _targets(judged, ground, operands)
    return judged


def rm(words: tuple[str, ...], ground: Ground) -> Judgement:
    """Removing: never the lab's folder itself, and never what is mounted in it."""
    judged = Judgement(changes=True)
    operands = Options.of(words[1:]).operands
    _targets(judged, ground, operands)
    for word in operands:
        if ground.path(word) == ground.path("."):
            judged.refuse(
                _("That is the practice disk's folder itself; `virt-salvage lab reset` takes it away.")
            )
    return judged


def making(words: tuple[str, ...], ground: Ground) -> Judgement:
    """mkdir, touch, truncate, chmod, ln and the like: all operands are written to."""
    judged = Judgement(changes=True)
    valued = ("-s", "--size", "-r", "--reference", "-m", "--mode", "-d", "-t", "-o")
    operands = Options.of(words[1:], valued).operands
    _targets(judged, ground, operands)
    return judged


def dd(words: tuple[str, ...], ground: Ground) -> Judgement:
    """dd: from where, and whether its target would be cut off."""
    judged = Judgement(changes=True)
    values = dict(word.split("=", 1) for word in words[1:] if "=" in word)
    _targets(judged, ground, [values["of"]] if "of" in values else [])
    _readers(judged, ground, (values.get("if", ""),))
    if values.get("if") == "/dev/zero" and "count" not in values:
        judged.refuse(
            _("From /dev/zero without count it would write until nothing is left of the room there is.")
        )
    if (
        "of" in values
        and os.path.exists(ground.path(values["of"]))
        and "notrunc" not in values.get("conv", "")
    ):
        judged.note(_("Without conv=notrunc the target is cut off where dd stops."))
    return judged


def reading(words: tuple[str, ...], ground: Ground) -> Judgement:
    """A program that only reads."""
    judged = Judgement()
    if words[0] not in ("ls", "stat", "file", "du", "df", "lsof", "fuser", "echo"):
        _readers(judged, ground, words[1:])
    return judged


def find(words: tuple[str, ...], ground: Ground) -> Judgement:
    judged = Judgement()
    for word in words[1:]:
        if word in (
            "-exec",
            "-execdir",
            "-ok",
            "-okdir",
            "-delete",
            "-fprint",
            "-fprintf",
            "-fls",
            "-fprint0",
        ):
            judged.refuse(_("find only looks here: {word} is left out.").format(word=word))
    return judged


_DEBUGFS_READS = frozenset(
    (
        *("ls", "stat", "cat", "dump", "rdump", "icheck", "ncheck", "blocks", "ex", "extents", "stats"),
        *("show_super_stats", "lsdel", "imap", "testi", "testb", "bmap", "block_dump", "bd", "ffi", "ffb"),
    )
)
_DEBUGFS_WRITES = frozenset(("rm", "write", "set_inode_field", "sif", "undel", "clri", "mi", "unlink", "ln"))


def debugfs(words: tuple[str, ...], ground: Ground) -> Judgement:
    """debugfs: what is asked for in -R, and whether it was opened for writing."""
    judged = Judgement(changes=True)
    options = Options.of(words[1:], ("-R", "-f", "-b", "-s", "-d", "-z"))
    disk = (options.operands or [""])[-1].partition("?")[0]
    if options.has("-w") and ground.original(disk):
        judged.warn(_("-w opens the disk for writing."), "writable")
    _readers(judged, ground, (disk,))
    if not options.has("-R") or options.has("-f"):
        judged.refuse(_("Nobody can type into debugfs here: give one request with -R."))
        return judged
    try:
        request = shlex.split(options.value("-R"))
    except ValueError:
        request = []
    verb = request[0] if request else ""
    if verb not in _DEBUGFS_READS | (_DEBUGFS_WRITES if options.has("-w") else frozenset()):
        judged.refuse(_("This prompt knows no request {verb} of debugfs.").format(verb=verb))
    if verb in ("dump", "rdump") and len(request) > 2:
        _targets(judged, ground, [request[-1]])
    if verb == "write" and len(request) > 1 and not ground.inside(request[1]):
        judged.refuse(_("{word} does not belong to this lab.").format(word=request[1]), "outside")
    return judged


def e2fsck(words: tuple[str, ...], ground: Ground) -> Judgement:
    """A check of a file system: with -n it looks, without it repairs."""
    judged = Judgement(changes=True)
    options = Options.of(words[1:], ("-E", "-b", "-B", "-C", "-j", "-l", "-L", "-z"))
    disk = (options.operands or [""])[-1].partition("?")[0]
    _readers(judged, ground, (disk,))
    if not options.has("-n") and ground.original(disk):
        judged.warn(
            _(
                "Without -n e2fsck replays the journal and repairs: it writes to the original, and"
                " what it throws"
                " away is gone. Let it work on a copy."
            ),
            "written",
        )
    if not options.has("-n", "-y", "-p", "-a"):
        judged.refuse(_("Nobody can answer its questions here: -n says no to all, -y says yes."))
    return judged


_LOOKS = {
    "sfdisk": ("-l", "--list", "-J", "--json", "-d", "--dump", "-V", "--verify", "-F", "--list-free"),
    "fdisk": ("-l", "--list", "-x", "--list-details"),
    "sgdisk": ("-p", "--print", "-v", "--verify", "-i", "--info", "-O", "--print-mbr"),
    "parted": ("-s", "--script", "-m", "--machine"),
}
_HARMLESS = ("-q", "--quiet", "-o", "--output", "--bytes", "-u", "--units")
_PARTED = re.compile(r"print|free|unit|s|B|MiB|GiB|kB|MB|GB")


def tables(words: tuple[str, ...], ground: Ground) -> Judgement:
    """sfdisk, fdisk, parted, sgdisk: only their looking forms."""
    judged = Judgement()
    program, looks = words[0], _LOOKS[words[0]]
    options = Options.of(words[1:], ("-o", "--output", "-i", "--info", "-u", "--units"))
    names = [name for name, _value in options.given]
    disk = options.operands[:1] if program == "parted" else options.operands[-1:]
    others = options.operands[1:] if program == "parted" else []
    looking = any(name in looks for name in names) and all(name in looks + _HARMLESS for name in names)
    if not looking or not all(map(_PARTED.fullmatch, others)) or (program == "parted" and not others):
        shown = "-s DISK print" if program == "parted" else f"{looks[0]} DISK"
        judged.refuse(
            _("{program} in this form writes a table, or asks questions. To look: {program} {how}").format(
                program=program, how=shown
            )
        )
    for word in disk:
        if format := ground.image_format(word):
            judged.note(
                _(
                    "{image} is a {format} image: the table lies inside of it, not in its first sector."
                ).format(image=word, format=format)
            )
    return judged


def blkid(words: tuple[str, ...], ground: Ground) -> Judgement:
    """blkid: only its probing form; the other one keeps what it saw in a file of the host."""
    judged = reading(words, ground)
    if not Options.of(words[1:], ("-O", "--offset", "-S", "--size", "-o", "--output")).has("-p", "--probe"):
        judged.refuse(_("Give blkid --probe: without it, what it sees is kept in a file of this host."))
    return judged


_WRITING = {
    "fuser": ("-k", "--kill", "-m"),
    "sort": ("-o", "--output"),
    "xxd": ("-r", "-revert"),
    "file": ("-C",),
}


def looking(words: tuple[str, ...], ground: Ground) -> Judgement:
    """A program that only looks at the host, or at files, unless one of its options is given."""
    judged = reading(words, ground)
    for name, _value in Options.of(words[1:]).given:
        if name in _WRITING.get(words[0], ()):
            judged.refuse(_("{program} {option} is left out here.").format(program=words[0], option=name))
    return judged


def ending(words: tuple[str, ...], ground: Ground) -> Judgement:
    """kill and pkill: only programs of QEMU that work on files of the lab, named by their numbers."""
    judged = Judgement(changes=True)
    pids = ended_by(words, ground)
    if not pids:
        told = _("Name the processes: kill NUMBER, or pkill --pidfile FILE with the file of your own daemon.")
        judged.refuse(told, "outside" if words[0] == "pkill" else "")
    inside = set(safety.daemons_on(ground.home))
    for pid in pids:
        if any(one.pid == pid for one in ground.record.standing if one.foreign):
            judged.warn(
                _("That is the machine itself: ended like this, what it has not written yet is lost."),
                "others",
            )
        elif pid not in inside:
            judged.refuse(_("Process {pid} does not belong to this lab.").format(pid=pid), "outside")
    return judged


_SIGNAL = re.compile(r"-(?:\d{1,2}|(?:SIG)?(?:TERM|KILL|INT|HUP))")


def ended_by(words: tuple[str, ...], ground: Ground) -> list[int]:
    """The processes that a kill, or a pkill with a file, concerns; none where anything else is meant."""
    rest = [*words[1:]]
    if rest and words[0] in ("kill", "pkill") and _SIGNAL.fullmatch(rest[0]):
        del rest[0]
    if words[0] == "kill":
        good = bool(rest) and all(re.fullmatch(r"[1-9]\d{0,8}", word) for word in rest)
        return [int(word) for word in rest] if good else []
    if words[0] != "pkill":
        return []
    if len(rest) == 1 and rest[0].startswith("--pidfile="):
        rest = rest[0].split("=", 1)
    if len(rest) != 2 or rest[0] not in ("-F", "--pidfile") or not ground.inside(rest[1]):
        return []
    try:
        text = ground.path(rest[1]).read_text(errors="replace")
    except OSError:
        return []
    return [int(number) for number in re.findall(r"\d{1,9}", text)[:1]]


def _targets(judged: Judgement, ground: Ground, words: list[str]) -> None:
    """What is written to must lie in the lab, and must be no original."""
    for word in words:
        if not ground.inside(word):
            judged.refuse(
                _("{word} does not belong to this lab: write into its folder.").format(word=word), "outside"
            )
        elif ground.original(word):
            judged.warn(
                _("{word} is the original: this changes it or takes it away.").format(word=word), "written"
            )


def _readers(judged: Judgement, ground: Ground, words: tuple[str, ...]) -> None:
    if ground.must_stop and any(ground.original(word) for word in ground.named(words)):
        judged.warn(_(ground.must_stop), "opened")
