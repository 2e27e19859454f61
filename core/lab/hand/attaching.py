"""What mount, umount and losetup would do to the disk of a lab; see mount(8), umount(8), losetup(8)."""

import os
import re

from core.i18n import _
from core.lab.hand.ground import Ground
from core.lab.hand.judgement import Judgement
from core.lab.hand.options import Options
from core.lab.lab import Place

_MOUNT = ("-o", "--options", "-t", "--types", "-L", "-U", "--source", "--target")
_LOSETUP = ("-o", "--offset", "--sizelimit", "-j", "--associated", "-O", "--output", "-b", "--sector-size")
_NUMBER = re.compile(r"(\d{1,18})([KMG]?)(iB)?")
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_EXTENDED = ("05", "5", "0f", "f", "85")


def mount(words: tuple[str, ...], ground: Ground) -> Judgement:
    """A mount: from where, at which offset, and whether it could write."""
    judged = Judgement(changes=True)
    options = Options.of(words[1:], _MOUNT)
    if not options.operands and not options.given:
        judged.changes = False
        return judged
    listed = [one for text in options.values("-o", "--options") for one in text.split(",")]
    if len(options.operands) != 2:
        judged.refuse(_("mount wants the device or the image, and the folder where its files shall appear."))
        return judged
    source, point = options.operands
    _plain(judged, options, listed)
    if not os.path.lexists(ground.home / source):
        judged.refuse(_("There is no {source} in this lab.").format(source=source))
    if not _is_ours(judged, ground, source) or not _is_ours(judged, ground, point):
        return judged
    if not os.path.isdir(ground.path(point)):
        judged.note(_("There is no folder {point}: make it first, with mkdir.").format(point=point))
    reads = "ro" in listed or options.has("-r", "--read-only")
    loop = ground.loop(source)
    if ground.original(source):
        _reading(judged, ground)
        if not reads and (loop is None or not loop.read_only):
            judged.warn(
                _(
                    "Without ro this writes to the disk at once: the journal is replayed, the"
                    " superblock counts"
                    " the mount, and the disk is no longer what it was. Add -o ro,noload."
                ),
                "writable",
            )
        elif (
            _replays(options.value("-t", "--types"))
            and "noload" not in listed
            and (loop is None or not loop.read_only)
        ):
            judged.note(
                _(
                    "ro alone still replays the journal where the device can be written to; noload"
                    " keeps it from that."
                )
            )
    if loop is None:
        _offset(judged, ground, source, _of(listed, "offset"))
    return judged


def _replays(type: str) -> bool:
    """Whether a file system of that type, or one that is not named, has a journal that ``noload`` leaves
    alone."""
    return not type or type.startswith("ext")


_TYPES = ("", "auto", "ext2", "ext3", "ext4", "ntfs", "ntfs3", "ntfs-3g", "vfat", "xfs", "btrfs", "iso9660")
_FLAGS = ("-o", "--options", "-t", "--types", "-r", "--read-only", "-w", "--rw", "-v", "--verbose")


def _plain(judged: Judgement, options: Options, listed: list[str]) -> None:
    """A mount here is one of a file system on an image or a device, and of nothing else of the host."""
    other = [name for name, _value in options.given if name not in _FLAGS]
    other += [type for type in options.values("-t", "--types") if type not in _TYPES]
    other += [one for one in listed if "/" in one or one in ("bind", "rbind", "move", "remount")]
    for word in other:
        judged.refuse(_("{word} is left out here: a mount shows an image of the lab.").format(word=word))


def umount(words: tuple[str, ...], ground: Ground) -> Judgement:
    """Taking a mount down; only what lies in the lab."""
    judged = Judgement(changes=True)
    options = Options.of(words[1:], ("-t", "--types", "-O"))
    if options.has("-a", "--all"):
        judged.refuse(_("-a would take down every mount of this host."), "outside")
    for word in options.operands:
        if _is_ours(judged, ground, word):
            _spares_others(judged, ground, str(ground.path(word)))
    if options.has("-l", "--lazy"):
        judged.note(
            _("-l takes it out of sight only: what uses it keeps it up, and the loop device under it too.")
        )
    return judged


def losetup(words: tuple[str, ...], ground: Ground) -> Judgement:
    """Attaching and detaching loop devices; a wrong offset is explained."""
    judged = Judgement()
    options = Options.of(words[1:], _LOSETUP)
    if options.has("-D", "--detach-all"):
        judged.refuse(_("-D would detach every loop device of this host."), "outside")
        return judged
    if options.has("-d", "--detach"):
        judged.changes = True
        for word in (*options.operands, *filter(None, options.values("-d", "--detach"))):
            loop = ground.loop(word)
            if loop is None:
                judged.refuse(_("{device} is no loop device of this lab.").format(device=word), "outside")
            else:
                _spares_others(judged, ground, loop.path)
        return judged
    if options.has("-a", "--all", "-l", "--list", "-j", "--associated") or not options.operands:
        return judged
    judged.changes = True
    image = options.operands[-1]
    if any(
        not _is_ours(judged, ground, word) for word in options.operands if not word.startswith("/dev/loop")
    ):
        return judged
    if ground.original(image):
        _reading(judged, ground)
        if not options.has("-r", "--read-only"):
            judged.warn(
                _(
                    "Without --read-only whatever looks at the device can write to the disk: mount"
                    " alone does,"
                    " and desktops mount by themselves."
                ),
                "writable",
            )
    _offset(judged, ground, image, options.value("-o", "--offset"))
    if options.has("-P", "--partscan"):
        judged.note(
            _("-P lets the kernel make devices of all partitions; they go when the loop device goes.")
        )
    return judged


def _is_ours(judged: Judgement, ground: Ground, word: str) -> bool:
    if ground.inside(word):
        return True
    judged.refuse(
        _("{word} does not belong to this lab: leave the rest of the host alone.").format(word=word),
        "outside",
    )
    return False


def _reading(judged: Judgement, ground: Ground) -> None:
    if ground.must_stop:
        judged.warn(_(ground.must_stop), "opened")


def _spares_others(judged: Judgement, ground: Ground, target: str) -> None:
    if target in ground.others():
        judged.warn(_("That is a colleague's, who is at work on it."), "others")


def _of(listed: list[str], name: str) -> str:
    return next((one.partition("=")[2] for one in listed if one.startswith(f"{name}=")), "")


def _offset(judged: Judgement, ground: Ground, image: str, given: str) -> None:
    """Explain where an offset leads; a wrong one is no harm, read-only, but it shows nothing."""
    format = ground.image_format(image)
    if format:
        judged.note(
            _(
                "{image} is a {format} image: its bytes are not the disk's bytes in their order, so"
                " no offset in"
                " it leads to a partition. Show or write its content as raw bytes first."
            ).format(image=image, format=format)
        )
        return
    if not ground.places or not str(ground.path(image)).startswith(os.path.realpath(ground.home)):
        return
    match = _NUMBER.fullmatch(given or "0")
    if match is None:
        judged.note(_("{offset} is no number of bytes.").format(offset=given))
        return
    told = told_offset(int(match[1]) * _UNITS[match[2]], ground.places)
    if told:
        judged.note(told)


def told_offset(offset: int, places: tuple[Place, ...]) -> str:
    """What is wrong with an offset in bytes, as a sentence that does not tell the right one; empty if
    nothing."""
    begins = next((place for place in places if offset == place.offset), None)
    if begins:
        if begins.type.lower() not in _EXTENDED:
            return ""
        return _(
            "At byte {offset} begins partition {number}, the extended one: a box with a table of its own"
            " in it, and no file system. Choose one of the partitions inside."
        ).format(offset=offset, number=begins.number)
    for place in places:
        if offset == place.start:
            return _(
                "{offset} is the sector at which partition {number} starts. mount and losetup count"
                " bytes: multiply"
                " by the size of a sector, which sfdisk shows."
            ).format(offset=offset, number=place.number)
        if offset in (place.start * 1024, place.start * 4096, place.start * 2048):
            return _(
                "That is the start of partition {number} times {factor}. Its sectors have 512 bytes, as"
                " sfdisk says."
            ).format(offset=offset, number=place.number, factor=offset // place.start)
        if offset in (place.end * 512, (place.end + 1) * 512):
            return _("At byte {offset} partition {number} ends. The offset is where it starts.").format(
                offset=offset, number=place.number
            )
        if offset == place.sectors * 512:
            return _("{offset} is how long partition {number} is. The offset is where it starts.").format(
                offset=offset, number=place.number
            )
    inner = [one for one in places if one.offset < offset < one.offset + one.sectors * 512]
    if inner:
        place = min(inner, key=lambda one: one.sectors)
        return _(
            "At byte {offset} begins no partition: it lies inside of partition {number}, {count}"
            " bytes behind its"
            " start. A file system is found from its first byte only."
        ).format(offset=offset, number=place.number, count=offset - place.offset)
    if offset == 0:
        return _(
            "Without an offset this is the start of the disk: the partition table lies there, no file system."
        )
    return _(
        "At byte {offset} begins no partition: it lies in a gap or beyond the last one. The offset"
        " is the first"
        " sector of the partition times the size of a sector."
    ).format(offset=offset)
