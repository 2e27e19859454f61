"""The text in which LVM keeps its metadata, as nested dictionaries.

The grammar is that of lvm.conf(5): sections in braces, ``name = value``, values that are numbers, strings
or lists of them. Source: lvm2, libdm/libdm-config.c.
"""

import re
from collections.abc import Mapping
from typing import Any

MOST = 16 << 20
"""Bytes of one text: a metadata area is 1 MiB unless somebody made it larger."""
_DEEPEST = 8
_TOKEN = re.compile(
    rb"""\s+ | \#[^\n]*                          # nothing
    | (?P<mark>[{}\[\],=])
    | (?P<text>"(?:[^"\\]++|\\.)*+")          # a quote without an end costs no way back
    | (?P<number>-?[0-9]+(?:\.[0-9]+)?)(?![A-Za-z0-9_.+-])
    | (?P<name>[A-Za-z0-9_.+\-@:/]+)
    """,
    re.VERBOSE | re.DOTALL,
)

Section = Mapping[str, Any]


class BadText(ValueError):
    """The text is none, or damaged."""


def parse(data: bytes) -> Section:
    """The sections and values of a text; raises `BadText`.

    Sections are dictionaries, lists are lists, numbers are int; a fraction is cut off. What stands
    twice counts as it stood last. Bytes that are no UTF-8 are kept as lone surrogates.
    """
    if len(data) > MOST:
        raise BadText("too long")
    top: dict[str, Any] = {}
    stack = [top]
    words = _words(data)
    for kind, word in words:
        if word == "}" and kind == "mark":
            if len(stack) == 1:
                raise BadText("a brace too many")
            stack.pop()
            continue
        if kind not in ("name", "number"):
            raise BadText("no name where one belongs")
        follows = next(words, ("", ""))
        if follows == ("mark", "{"):
            if len(stack) > _DEEPEST:
                raise BadText("too deep")
            section: dict[str, Any] = {}
            stack[-1][word] = section
            stack.append(section)
        elif follows == ("mark", "="):
            stack[-1][word] = _value(words)
        else:
            raise BadText("neither a value nor a section")
    if len(stack) != 1:
        raise BadText("cut off")
    return top


class _Words:
    """The words of a text, one at a time."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __iter__(self) -> "_Words":
        return self

    def __next__(self) -> tuple[str, str]:
        while self._at < len(self._data):
            found = _TOKEN.match(self._data, self._at)
            if not found:
                raise BadText(f"a byte that belongs nowhere, at {self._at}")
            self._at = found.end()
            if found.lastgroup:
                return found.lastgroup, found[0].decode("utf-8", "surrogateescape")
        raise StopIteration


def _words(data: bytes) -> _Words:
    return _Words(data)


def _value(words: _Words) -> Any:
    kind, word = next(words, ("", ""))
    if kind == "mark" and word == "[":
        found: list[int | str] = []
        while True:
            kind, word = next(words, ("", ""))
            if kind == "mark" and word == "]":
                return found
            if kind == "mark" and word == ",":
                continue
            found.append(_plain(kind, word))
    return _plain(kind, word)


def _plain(kind: str, word: str) -> int | str:
    if kind == "number":
        whole = word.partition(".")[0]
        if len(whole) > 20:
            raise BadText("a number too long")
        return int(whole)
    if kind == "text":
        return re.sub(r"\\(.)", r"\1", word[1:-1], flags=re.DOTALL)
    raise BadText("no value where one belongs")
