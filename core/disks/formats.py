"""Which image format a file is, found out from its header alone, by code of ours.

A raw disk has no header, and its guest can write whatever it likes to the first sector. So a
header counts only where nothing contradicts it: see `judge`.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.disks import cow, dmg, luks, qcow2, small, vdi, vhd, vhdx, vmdk
from core.disks.header import Header, Source
from core.disks.model import SECTOR
from core.errors import Ambiguous, SalvageError, WrongUsage
from core.i18n import _, enumerated
from core.text import safe

Parser = Callable[[Source], Header]


@dataclass(frozen=True, slots=True)
class Format:
    """An image format: QEMU's name for its driver, the usual suffixes, and our reader of its header."""

    name: str
    suffixes: tuple[str, ...]
    matches: Callable[[bytes, Source], bool]
    """Whether a file is of this format, by its first bytes or its trailer."""
    parse: Parser
    in_trailer: bool = False
    """The format has no header, so a partition table at the start contradicts nothing."""


def _begins(*magics: bytes, at: int = 0) -> Callable[[bytes, Source], bool]:
    return lambda start, _source: start.startswith(magics, at)


def _is_qcow(version: bool) -> Callable[[bytes, Source], bool]:
    first = b"\0\0\0\1"
    return lambda start, _source: start[:4] == qcow2.MAGIC and (start[4:8] == first) is version


FORMATS: tuple[Format, ...] = (
    Format("qcow2", (".qcow2",), _is_qcow(False), qcow2.parse),
    Format("qcow", (".qcow",), _is_qcow(True), qcow2.parse_first),
    Format("cow", (".cow",), _begins(cow.MAGIC), cow.parse),
    Format("qed", (".qed",), _begins(small.QED), small.parse_qed),
    Format("vdi", (".vdi",), _begins(vdi.VDI, at=vdi.VDI_AT), vdi.parse_vdi),
    Format("vmdk", (".vmdk",), _begins(vmdk.SPARSE), vmdk.parse_sparse),
    Format("vmdk", (".vmdk",), _begins(vmdk.ESX_SPARSE), vmdk.parse_esx_sparse),
    Format("vmdk", (".vmdk",), lambda start, _source: vmdk.is_descriptor(start), vmdk.parse_descriptor),
    Format("vpc", (".vhd", ".vpc"), _begins(vhd.COOKIE), vhd.parse),
    Format("vhdx", (".vhdx",), _begins(vhdx.SIGNATURE), vhdx.parse),
    Format("parallels", (".hds", ".hdd", ".parallels"), _begins(*small.PARALLELS), small.parse_parallels),
    Format("bochs", (".bochs",), _begins(small.BOCHS), small.parse_bochs),
    Format("cloop", (".cloop",), _begins(small.CLOOP), small.parse_cloop),
    Format(
        "vpc", (".vhd", ".vpc"), lambda _start, source: vhd.has_fixed_footer(source), vhd.parse_fixed, True
    ),
    Format("dmg", (".dmg",), lambda _start, source: dmg.has_trailer(source), dmg.parse, True),
)
RAW = "raw"
LUKS = Format("luks", (".luks",), _begins(luks.MAGIC), luks.parse)
"""Only by the operator's word: by its header alone it is a raw disk with LUKS on it."""
NAMES = (*dict.fromkeys(known.name for known in FORMATS), LUKS.name, RAW)
"""All formats that an operator may name."""
_ALIASES = {"vhd": "vpc", "img": RAW, "hdd": "parallels"}
_OWN_SUFFIXES = {suffix: known.name for known in FORMATS for suffix in known.suffixes}
_RAW_SUFFIXES = frozenset({".raw", ".dd", ".iso"})
"""Names that say that the file is the disk itself. ``.img`` says nothing: qcow2 images carry it too."""
SUFFIXES = frozenset({*_OWN_SUFFIXES, ".raw", ".dd", ".img"})
"""Suffixes that disks of virtual machines usually have."""

_START = 64 << 10
_ISO, _ISO_AT = b"CD001", 32769
"""The first volume descriptor of a CD: ECMA-119, 8.1."""


def by_name(name: str) -> str:
    """QEMU's name of the format that the operator named; raises `WrongUsage` for an unknown one."""
    lower = name.lower()
    lower = _ALIASES.get(lower, lower)
    if lower not in NAMES:
        raise WrongUsage(
            _("There is no image format {name}.").format(name=safe(name)),
            remedy=_("The formats are: {names}.").format(names=enumerated(NAMES)),
        )
    return lower


def matching(source: Source) -> tuple[Format, ...]:
    """The formats that the header or trailer belongs to, none for a raw disk.

    One is the rule; more make a file that each program would read in its own way.
    """
    start = source.some(0, _START)
    found = {known.name: known for known in reversed(FORMATS) if known.matches(start, source)}
    return tuple(reversed(found.values()))


def read_header(source: Source, stated: str | None) -> Header:
    """What the image says about itself.

    With `stated` it is read as that format and nothing is guessed. Raises `Refused` where a raw
    disk and an image are both possible, `Damaged` where a header cannot be true.
    """
    if stated == RAW:
        return _told_raw(source)
    found = (
        (LUKS,) if stated == LUKS.name and LUKS.matches(source.some(0, _START), source) else matching(source)
    )
    if stated is None and not found:
        return _raw(source, None)
    chosen = next((known for known in found if stated in (None, known.name)), None)
    if chosen is None:
        raise source.damaged(_("it is no {format} header").format(format=stated))
    if stated is None and len(found) > 1:
        raise ambiguous(source.path, [known.name for known in found], _("it carries the marks of each"))
    header = chosen.parse(source)
    if stated is None:
        judge(source, chosen, header)
    return header


def _told_raw(source: Source) -> Header:
    """A disk that is raw by the operator's word: also where its first or last sector cannot be read."""
    try:
        found = matching(source)
        return _raw(source, found[0] if found else None)
    except SalvageError as error:
        return Header(RAW, source.size, problems=(error.what,))


def _raw(source: Source, overruled: Format | None) -> Header:
    problems = []
    suffix = source.path.suffix.lower()
    if source.size % SECTOR:
        problems.append(
            _(
                "The size of {size} bytes is not a multiple of 512: the last {rest} bytes are no sector."
            ).format(size=source.size, rest=source.size % SECTOR)
        )
    if overruled:
        problems.append(
            _("It is read as raw, as asked, although it begins like a {format} image.").format(
                format=overruled.name
            )
        )
    elif suffix in _OWN_SUFFIXES:
        problems.append(
            _("The name says {format}, but the content is raw.").format(format=_OWN_SUFFIXES[suffix])
        )
    if source.some(_ISO_AT, len(_ISO)) == _ISO and has_table(source):
        problems.append(
            _(
                "It is a boot medium, an ISO 9660 file system and a partition table in one; "
                "it is read as a disk."
            )
        )
    return Header(RAW, source.size, problems=tuple(problems))


def judge(source: Source, found: Format, header: Header) -> None:
    """Raise `Refused` where what looks like an image header may be what a guest wrote to a raw disk.

    That is so on a block device and under a name that says raw, where a partition table stands in
    the same place, and under ``.img`` where the header points to other files.
    """
    suffix = source.path.suffix.lower()
    if source.is_block_device:
        reason = _("it is a block device, and those are mostly raw")
    elif suffix in _RAW_SUFFIXES:
        reason = _("its name says that it is raw")
    elif not found.in_trailer and has_table(source):
        reason = _("there is a partition table in the same place")
    elif suffix == ".img" and header.references:
        reason = _("its name does not say what it is, and the header points to other files")
    else:
        return
    raise ambiguous(source.path, [found.name], reason)


def ambiguous(path: Path, names: Sequence[str], reason: str) -> Ambiguous:
    """The refusal to choose between several readings of one file: raw, and each of the formats."""
    return Ambiguous(
        (RAW, *names),
        _(
            "{path} can be read in more than one way. Its header says {format}. It may also be a raw disk:"
            " {reason}."
        ).format(path=safe(path), format=enumerated(names), reason=reason),
        _(
            "A guest can write any header to its raw disk and so make programs open other files of the host. "
            "Nothing was opened."
        ),
        _("Say which it is: --format raw, if in doubt, or --format {format}.").format(
            format=" / ".join(names)
        ),
    )


def has_table(source: Source) -> bool:
    """Whether sector 0 or 1 holds a partition table beyond doubt (MBR with entries, or GPT)."""
    data = source.some(0, 2 * SECTOR)
    if data[SECTOR : SECTOR + 8] == b"EFI PART":
        return True
    if data[510:512] != b"\x55\xaa":
        return False
    entries = [data[at : at + 16] for at in range(446, 510, 16)]
    if any(entry[0] not in (0, 0x80) for entry in entries):
        return False
    return any(entry[4] and struct.unpack_from("<I", entry, 12)[0] for entry in entries)
