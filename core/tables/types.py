"""Names for the types of partitions: MBR codes and GPT type GUIDs.

MBR codes: https://www.win.tue.nl/~aeb/partitions/partition_types-1.html, names as in fdisk(8).
GUIDs: UEFI specification, table 5-7; the Discoverable Partitions Specification
(https://uapi-group.org/specifications/specs/discoverable_partitions_specification/); gpttypes of fdisk.
"""

from core.i18n import N_, _

EXTENDED = frozenset({0x05, 0x0F, 0x85})
"""MBR codes of extended partitions (linux/block/partitions/msdos.c, is_extended_partition)."""
PROTECTIVE = 0xEE
"""The MBR code that says: the table is a GPT."""

_MBR = {
    0x01: N_("FAT12"),
    0x04: N_("FAT16 (small)"),
    0x05: N_("Extended"),
    0x06: N_("FAT16"),
    0x07: N_("NTFS or exFAT"),
    0x0B: N_("FAT32"),
    0x0C: N_("FAT32 (LBA)"),
    0x0E: N_("FAT16 (LBA)"),
    0x0F: N_("Extended (LBA)"),
    0x11: N_("Hidden FAT12"),
    0x12: N_("Diagnostics or recovery"),
    0x14: N_("Hidden FAT16 (small)"),
    0x16: N_("Hidden FAT16"),
    0x17: N_("Hidden NTFS or ISO hybrid"),
    0x1B: N_("Hidden FAT32"),
    0x1C: N_("Hidden FAT32 (LBA)"),
    0x1E: N_("Hidden FAT16 (LBA)"),
    0x27: N_("Windows recovery"),
    0x39: N_("Plan 9"),
    0x41: N_("PowerPC PReP boot"),
    0x42: N_("Windows dynamic disk"),
    0x4D: N_("QNX4"),
    0x63: N_("GNU Hurd or System V"),
    0x81: N_("Minix"),
    0x82: N_("Linux swap or Solaris"),
    0x83: N_("Linux"),
    0x84: N_("Hibernation"),
    0x85: N_("Linux extended"),
    0x88: N_("Linux plain text table"),
    0x8E: N_("Linux LVM"),
    0x9F: N_("BSD/OS"),
    0xA0: N_("Hibernation (laptop)"),
    0xA5: N_("FreeBSD"),
    0xA6: N_("OpenBSD"),
    0xA8: N_("Darwin UFS"),
    0xA9: N_("NetBSD"),
    0xAB: N_("Darwin boot"),
    0xAF: N_("HFS or HFS+"),
    0xBE: N_("Solaris boot"),
    0xBF: N_("Solaris"),
    0xDA: N_("Data without a file system"),
    0xDE: N_("Dell utility"),
    0xE8: N_("LUKS"),
    0xEA: N_("Extended boot"),
    0xEB: N_("BeOS"),
    0xEE: N_("GPT (protective)"),
    0xEF: N_("EFI system"),
    0xFB: N_("VMware VMFS"),
    0xFC: N_("VMware swap"),
    0xFD: N_("Linux RAID"),
}

_GUID = {
    "C12A7328-F81F-11D2-BA4B-00A0C93EC93B": N_("EFI system"),
    "024DEE41-33E7-11D3-9D69-0008C781F39F": N_("MBR partition scheme"),
    "21686148-6449-6E6F-744E-656564454649": N_("BIOS boot"),
    "E3C9E316-0B5C-4DB8-817D-F92DF00215AE": N_("Microsoft reserved"),
    "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7": N_("Microsoft basic data"),
    "5808C8AA-7E8F-42E0-85D2-E1E90434CFB3": N_("Microsoft dynamic disk: metadata"),
    "AF9B60A0-1431-4F62-BC68-3311714A69AD": N_("Microsoft dynamic disk: data"),
    "DE94BBA4-06D1-4D40-A16A-BFD50179D6AC": N_("Windows recovery"),
    "E75CAF8F-F680-4CEE-AFA3-B001E56EFC2D": N_("Microsoft storage spaces"),
    "0FC63DAF-8483-4772-8E79-3D69D8477DE4": N_("Linux"),
    "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F": N_("Linux swap"),
    "E6D6D379-F507-44C2-A23C-238F2A3DF928": N_("Linux LVM"),
    "A19D880F-05FC-4D3B-A006-743F0F84911E": N_("Linux RAID"),
    "CA7D7CCB-63ED-4C53-861C-1742536059CC": N_("LUKS"),
    "7FFEC5C9-2D00-49B7-8941-3EA10A5586B7": N_("dm-crypt"),
    "8DA63339-0007-60C0-C436-083AC8230908": N_("Linux reserved"),
    "BC13C2FF-59E6-4262-A352-B275FD6F7172": N_("Linux extended boot"),
    "933AC7E1-2EB4-4F13-B844-0E14E2AEF915": N_("Linux /home"),
    "3B8F8425-20E0-4F3B-907F-1A25A76F98E8": N_("Linux /srv"),
    "4D21B016-B534-45C2-A9FB-5C16E091FD2D": N_("Linux /var"),
    "7EC6F557-3BC5-4ACA-B293-16EF5DF639D1": N_("Linux /var/tmp"),
    "44479540-F297-41B2-9AF7-D131D5F0458A": N_("Linux root (x86)"),
    "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709": N_("Linux root (x86-64)"),
    "B921B045-1DF0-41C3-AF44-4C6F280D3FAE": N_("Linux root (ARM 64)"),
    "69DAD710-2CE4-4E3C-B16C-21A1D49ABED3": N_("Linux root (ARM 32)"),
    "8484680C-9521-48C6-9C11-B0720656F69E": N_("Linux /usr (x86-64)"),
    "9E1A2D38-C612-4316-AA26-8B49521E5A8B": N_("PowerPC PReP boot"),
    "48465300-0000-11AA-AA11-00306543ECAC": N_("Apple HFS+"),
    "7C3457EF-0000-11AA-AA11-00306543ECAC": N_("Apple APFS"),
    "426F6F74-0000-11AA-AA11-00306543ECAC": N_("Apple boot"),
    "83BD6B9D-7F41-11DC-BE0B-001560B84F0F": N_("FreeBSD boot"),
    "516E7CB4-6ECF-11D6-8FF8-00022D09712B": N_("FreeBSD"),
    "516E7CB5-6ECF-11D6-8FF8-00022D09712B": N_("FreeBSD swap"),
    "516E7CB6-6ECF-11D6-8FF8-00022D09712B": N_("FreeBSD UFS"),
    "516E7CBA-6ECF-11D6-8FF8-00022D09712B": N_("FreeBSD ZFS"),
    "824CC7A0-36A8-11E3-890A-952519AD3F61": N_("OpenBSD data"),
    "6A898CC3-1DD2-11B2-99A6-080020736631": N_("ZFS"),
    "AA31E02A-400F-11DB-9590-000C2911D1B8": N_("VMware VMFS"),
    "9D275380-40AD-11DB-BF97-000C2911D1B8": N_("VMware core dump"),
    "9198EFFC-31C0-11DB-8F78-000C2911D1B8": N_("VMware reserved"),
}


def mbr_type_name(code: int) -> str:
    """What people call the MBR type `code`; ``unknown`` if the table has no name for it."""
    name = _MBR.get(code)
    return _(name) if name else _("unknown")


def gpt_type_name(guid: str) -> str:
    """What people call the GPT type `guid` (capitals); ``unknown`` if the table has no name for it."""
    name = _GUID.get(guid)
    return _(name) if name else _("unknown")
