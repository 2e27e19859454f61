"""Encrypted data with checksums: what dm-crypt and dm-integrity are told of them."""

import struct

import pytest

from core.volumes.luks import integrity
from core.volumes.luks.integrity import Superblock, read_superblock


class Bytes:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def read(self, offset: int, length: int) -> bytes:
        return self.data[offset : offset + length]


@pytest.mark.parametrize(
    ("name", "checksum", "told", "option"),
    [
        ("aes-xts-plain64", "hmac(sha256)", "capi:authenc(hmac(sha256),xts(aes))-plain64", "aead"),
        ("aes-xts-random", "hmac(sha512)", "capi:authenc(hmac(sha512),xts(aes))-random", "aead"),
        ("chacha20-random", "poly1305", "capi:rfc7539(chacha20,poly1305)-random", "aead"),
        ("aes-gcm-random", "aead", "capi:gcm(aes)-random", "aead"),
        ("aes-ccm-random", "aead", "capi:rfc4309(ccm(aes))-random", "aead"),
        ("aegis128-random", "aead", "capi:aegis128-random", "aead"),
        ("aes-xts-random", "none", "capi:xts(aes)-random", "none"),
    ],
)
def test_ciphers_are_named_as_cryptsetup_names_them(name: str, checksum: str, told: str, option: str) -> None:
    """As ``dmsetup table`` shows what ``cryptsetup open`` made."""
    assert integrity.cipher(name, checksum) == told
    assert integrity.option(checksum, Superblock(32, 4096, 512)) == f"integrity:32:{option}"


def test_the_superblock_tells_how_much_there_is() -> None:
    raw = b"integrt\0" + struct.pack("<BBHIQIB", 4, 15, 32, 88, 96736, 0, 3)
    assert read_superblock(Bytes(bytes(4096) + raw), 4096) == Superblock(32, 96736 * 512, 4096)
    assert read_superblock(Bytes(raw), 0) == Superblock(32, 96736 * 512, 4096)
    for bad in (raw[:20], b"x" + raw[1:], raw[:10] + b"\0\0" + raw[12:], raw[:28] + b"\x09"):
        assert bad == raw or read_superblock(Bytes(bad), 0) is None


def test_only_over_an_overlay_the_journal_is_carried_out() -> None:
    assert integrity.below("/dev/loop7", Superblock(32, 4096, 4096), writable=False) == (
        "integrity /dev/loop7 0 32 R 1 block_size:4096"
    )
    assert integrity.below("/dev/loop7", Superblock(28, 4096, 512), writable=True) == (
        "integrity /dev/loop7 0 28 J 0"
    )
