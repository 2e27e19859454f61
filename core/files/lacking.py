"""Copies that lack what an earlier copy could not read, and zeros stand in its place."""

import os

from core.files.content import Content

_BLOCK = 512
"""The least that a disk loses at once."""
_ZEROS = bytes(_BLOCK)


def lacks(copy: int, content: Content) -> bool:
    """Whether an open copy is the file with zeros in the place of some of its blocks, and nothing else.

    Then the file in its place loses nothing. Reads both; raises OSError of the copy.
    """
    at = 0
    for piece in content.pieces():
        length = piece if isinstance(piece, int) else len(piece)
        wanted = bytes(length) if isinstance(piece, int) else bytes(piece)
        there = os.pread(copy, length, at)
        if there != wanted and not _is_part(there, wanted):
            return False
        at += length
    return True


def _is_part(there: bytes, wanted: bytes) -> bool:
    if len(there) != len(wanted):
        return False
    for at in range(0, len(wanted), _BLOCK):
        block = there[at : at + _BLOCK]
        if block != wanted[at : at + _BLOCK] and block != _ZEROS[: len(block)]:
            return False
    return True
