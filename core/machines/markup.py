"""XML of bounded size and depth as a tree, read by expat without document types.

Without them there are no entities that could grow or read other files.
"""

from dataclasses import dataclass, field
from xml.parsers import expat

_DEEPEST = 256
"""Levels: each link of a backing chain takes one."""
_MOST = 100_000
"""Elements."""
_LONGEST = 4096
"""Characters of text in one element."""


@dataclass(slots=True)
class Element:
    """An element with what is in it."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list["Element"] = field(default_factory=list)
    text: str = ""

    def child(self, *tags: str) -> "Element":
        """The first element down a path of tags; an empty one where there is none."""
        at = self
        for tag in tags:
            at = next((one for one in at.children if one.tag == tag), Element(tag))
        return at

    def all(self, tag: str) -> list["Element"]:
        """The elements of that tag directly below."""
        return [one for one in self.children if one.tag == tag]

    def get(self, name: str) -> str:
        """An attribute; empty where it is not stated."""
        return self.attributes.get(name, "")


class _Unfit(Exception):
    """Too deep, too much, or with a document type."""


class _Reader:
    def __init__(self) -> None:
        self.top = Element("")
        self._at = [self.top]
        self._count = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if len(self._at) > _DEEPEST or self._count > _MOST:
            raise _Unfit
        one = Element(tag, attributes)
        self._at[-1].children.append(one)
        self._at.append(one)

    def end(self, _tag: str) -> None:
        self._at.pop()

    def characters(self, text: str) -> None:
        at = self._at[-1]
        at.text = (at.text + text)[:_LONGEST]

    def refuse(self, *_declared: object) -> None:
        raise _Unfit


def parsed(data: bytes) -> Element | None:
    """The outermost element; None for what is no XML, too much of it, or with a document type."""
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    parser.StartDoctypeDeclHandler = reader.refuse
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, _Unfit, ValueError):
        return None
    return reader.top.children[0]
