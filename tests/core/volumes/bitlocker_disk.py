"""The metadata of a BitLocker volume, made without Windows: as cryptsetup's lib/bitlk and libbde read them.

The data themselves are encrypted by whoever has a dm-crypt: AES-XTS with the key of `KEY`, each sector by
its number in the volume.
"""

import hashlib
import struct
import subprocess
from uuid import UUID

SIZE = 12 << 20
"""Bytes of the volume."""
AREAS = (2 << 20, 5 << 20, 9 << 20)
MOVED, MOVED_SIZE = 3 << 20, 8192
KEY = bytes(range(64, 128))
"""Two keys of 256 bits for AES-XTS."""
PASSPHRASE = "Open sesame 1"
RECOVERY = "135795-597531-011000-720885-000077-440000-244442-344707"
"""Each group is eleven times two bytes of a key."""
GUID = UUID("4967d63b-2e29-4ad8-8399-f6a339e3d001")
_KIND = bytes.fromhex("3bd66749292ed84a8399f6a339e3d001")
_SALT = bytes(range(16))
_ROUNDS = 0x100000


def _aes(mode: str, key: bytes, data: bytes) -> bytes:
    argv = ["openssl", "enc", f"-aes-256-{mode}", "-nopad", "-K", key.hex()]
    argv += ["-iv", "0" * 32] if mode == "cbc" else []
    return subprocess.run(argv, input=data, stdout=subprocess.PIPE, check=True).stdout


def sealed(key: bytes, nonce: bytes, data: bytes) -> bytes:
    """AES-CCM with a nonce of 12 bytes and a tag of 16 (RFC 3610): the tag, and the data encrypted."""
    counters = b"".join(b"\x02" + nonce + n.to_bytes(3, "big") for n in range(len(data) // 16 + 2))
    stream = _aes("ecb", key, counters)
    padded = data + bytes(-len(data) % 16)
    first = bytes([8 * ((16 - 2) // 2) + 2]) + nonce + len(data).to_bytes(3, "big")
    mac = _aes("cbc", key, first + padded)[-16:]
    mix = lambda one, other: bytes(a ^ b for a, b in zip(one, other, strict=False))  # noqa: E731
    return mix(mac, stream) + mix(data, stream[16:])


def stretched(passphrase: str) -> bytes:
    """The key that a password becomes: a million rounds of SHA-256."""
    return _rounds(hashlib.sha256(passphrase.encode("utf-16-le")).digest())


def recovered(key: str) -> bytes:
    """The same for a recovery key."""
    return _rounds(b"".join((int(group) // 11).to_bytes(2, "little") for group in key.split("-")))


def _rounds(secret: bytes) -> bytes:
    start = hashlib.sha256(secret).digest()
    last = bytes(32)
    for count in range(_ROUNDS):
        last = hashlib.sha256(last + start + _SALT + count.to_bytes(8, "little")).digest()
    return last


def _entry(kind: int, value: int, body: bytes) -> bytes:
    return struct.pack("<HHHH", 8 + len(body), kind, value, 1) + body


def _key(key: bytes) -> bytes:
    return struct.pack("<IHHI", 12 + len(key), 1, 0, 0x2003) + key


def _protector(name: UUID, kind: int, key: bytes, nonce: bytes, master: bytes) -> bytes:
    """The master key as a password or a recovery key opens it."""
    inner = _entry(0, 3, struct.pack("<I", 0x1000) + _SALT + bytes(8))
    inner += _entry(0, 5, nonce + sealed(key, nonce, _key(master)))
    return _entry(2, 8, name.bytes_le + bytes(8) + struct.pack("<HH", 0, kind) + inner)


def area(state: int = 4, cipher: int = 0x8005) -> bytes:
    """One of the three copies of the metadata."""
    master, nonces = bytes(range(32)), (b"n" * 12, b"m" * 12, b"r" * 12)
    entries = _protector(GUID, 0x2000, stretched(PASSPHRASE), nonces[0], master)
    entries += _protector(UUID(int=1), 0x0800, recovered(RECOVERY), nonces[2], master)
    entries += _entry(3, 5, nonces[1] + sealed(master, nonces[1], _key(KEY)))
    entries += _entry(0xF, 0xF, struct.pack("<QQ", MOVED, MOVED_SIZE))
    head = struct.pack(
        "<IIII16sIHHQ", 48 + len(entries), 1, 48, 48 + len(entries), GUID.bytes_le, 2, cipher, 0, 1 << 56
    )
    block = struct.pack(
        *("<8sHHHHQII3QQ", b"-FVE-FS-", 64, 2, state, state, SIZE, 0, MOVED_SIZE // 512),
        *(*AREAS, MOVED),
    )
    return block + head + entries


def boot() -> bytes:
    """The boot sector, in the place of the file system's first."""
    sector = bytearray(512)
    sector[:11] = b"\xeb\x58\x90-FVE-FS-"
    struct.pack_into("<HB", sector, 11, 512, 8)
    sector[160:176] = _KIND
    struct.pack_into("<3Q", sector, 176, *AREAS)
    sector[510:] = b"\x55\xaa"
    return bytes(sector)
