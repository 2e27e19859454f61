"""Telling the boot sector of a file system from a partition table.

A file system that fills a whole disk has boot code and text where a table would have its entries;
readers that only look for the signature 55 AA find partitions there that do not exist.
"""

_JUMPS = (0xEB, 0xE9)
_SECTOR_SIZES = (512, 1024, 2048, 4096)


def looks_like_boot_sector(data: bytes) -> bool:
    """Whether the 512 bytes `data` begin like an NTFS, exFAT or FAT volume.

    Sources: Microsoft's FAT specification (fatgen103, BPB) and exFAT specification, section 3.1.
    """
    if len(data) < 512:
        return False
    if data[3:11] in (b"NTFS    ", b"EXFAT   "):
        return True
    sector_size = int.from_bytes(data[11:13], "little")
    cluster, reserved, copies = data[13], int.from_bytes(data[14:16], "little"), data[16]
    return (
        data[0] in _JUMPS
        and sector_size in _SECTOR_SIZES
        and cluster.bit_count() == 1
        and reserved > 0
        and copies in (1, 2)
    )
