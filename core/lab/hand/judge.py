"""Which commands the prompt of a lab knows, and what each of them would do."""

from collections.abc import Callable, Mapping

from core.i18n import _, sentences
from core.lab.hand import attaching, files, images
from core.lab.hand.ground import Ground
from core.lab.hand.judgement import Judgement
from core.lab.hand.line import Line

Judge = Callable[[tuple[str, ...], Ground], Judgement]


_READERS = (
    *("ls", "cat", "file", "stat", "du", "head", "tail", "wc", "od", "hexdump", "xxd", "strings", "cmp"),
    *("diff", "sha256sum", "md5sum", "sha1sum", "grep", "zcat", "dumpe2fs", "ntfsinfo", "sort", "cut"),
    *("pwd", "true", "df", "lsblk", "findmnt", "ps", "pgrep", "lsof", "fuser", "id", "uname", "echo"),
)
KNOWN: Mapping[str, Judge] = {
    **dict.fromkeys(_READERS, files.looking),
    **dict.fromkeys(["mkdir", "rmdir", "touch", "truncate", "chmod", "chown", "ln"], files.making),
    **dict.fromkeys(("sfdisk", "fdisk", "parted", "sgdisk"), files.tables),
    **dict.fromkeys(("e2fsck", "fsck.ext4", "fsck.ext3", "fsck.ext2"), files.e2fsck),
    **dict.fromkeys(("kill", "pkill"), files.ending),
    "cp": files.cp,
    "mv": files.mv,
    "rm": files.rm,
    "dd": files.dd,
    "find": files.find,
    "debugfs": files.debugfs,
    "mount": attaching.mount,
    "umount": attaching.umount,
    "losetup": attaching.losetup,
    "blkid": files.blkid,
    "qemu-img": images.qemu_img,
    "qemu-storage-daemon": images.qemu_daemon,
}
"""By the name of the program."""
_INSTEAD: Mapping[str, str] = {
    "less": "cat",
    "more": "cat",
    "vi": "cat",
    "vim": "cat",
    "nano": "cat",
    "fsck": "e2fsck",
    "testdisk": "dumpe2fs",
    "rsync": "cp --archive",
    "kpartx": "losetup --offset",
}
_OWN_PATHS = frozenset({"mount", "umount", "losetup", "debugfs", "find", "e2fsck", "pkill", "echo", "grep"})
"""They judge the paths in their words themselves, or have words that look like paths and are none."""


def judged(line: Line, ground: Ground) -> Judgement:
    """What a command would do in the lab, and whether it may be run."""
    if line.program not in KNOWN:
        refused = Judgement()
        told = _("This prompt does not know {program}.").format(program=line.program)
        if line.program in _INSTEAD:
            told = sentences((told, _("Use {other} here.").format(other=_INSTEAD[line.program])))
        refused.refuse(told)
        return refused
    found = KNOWN[line.program](line.words, ground)
    looked = ground.named(line.words[1:]) if line.program not in _OWN_PATHS else _operands(line, ground)
    for word in dict.fromkeys(looked):
        if not ground.inside(word):
            found.refuse(_outside(word, ground), "outside")
    if line.output:
        found.changes = True
        if not ground.inside(line.output):
            found.refuse(_("{word} does not belong to this lab.").format(word=line.output), "outside")
        elif ground.original(line.output):
            found.warn(_("The output would be written over the original."), "written")
    return found


def _operands(line: Line, ground: Ground) -> list[str]:
    """For programs with words of their own kind: the words that are paths beyond doubt."""
    if line.program in ("mount", "umount", "losetup", "echo", "pkill"):
        return []
    return [
        word.partition("?")[0]
        for word in _values(line.words[1:])
        if (not word.startswith("-") and word.startswith(("/", "..")))
        or ground.path(word.partition("?")[0]).exists()
    ]


def _values(words: tuple[str, ...]) -> list[str]:
    """Words, and of a long option its value."""
    return [word.partition("=")[2] if word.startswith("--") and "=" in word else word for word in words]


def _outside(word: str, ground: Ground) -> str:
    path = ground.path(word)
    if not word.startswith("/") and ".." not in word.split("/"):
        return _(
            "{word} is a link that leads out of the practice disk's folder: here it is {path} of this"
            " host, and not the guest's file."
        ).format(word=word, path=path)
    return _("{word} does not belong to this lab: leave the rest of the host alone.").format(word=word)
