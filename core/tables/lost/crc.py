"""CRC-32C (Castagnoli), with which ext4, XFS and btrfs guard their superblocks; RFC 3720, section 12.1."""

_POLYNOMIAL = 0x82F63B78


def _table() -> tuple[int, ...]:
    values = []
    for value in range(256):
        for _bit in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        values.append(value)
    return tuple(values)


_TABLE = _table()


def crc32c(data: bytes) -> int:
    """The checksum of `data`, begun with all bits set and inverted at the end."""
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _TABLE[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


def raw_crc32c(data: bytes) -> int:
    """The same without the last inversion, as ext4 stores it."""
    return crc32c(data) ^ 0xFFFFFFFF
