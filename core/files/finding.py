"""Searches a guest's tree by name, size, time, owner and content; what is found comes as it is found."""

import calendar
import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import translate

from core.cancel import CancelToken
from core.errors import WrongUsage
from core.files.entry import Entry, named
from core.files.owners import guest_numbers
from core.files.trail import LIST
from core.files.tree import OPEN_FILE, GuestTree
from core.files.unread import reason
from core.files.walk import Step, Walk
from core.i18n import _
from core.text import safe, spelled

_CHUNK = 1 << 20
_LOOK = 8192
"""Bytes in which a zero byte makes a file one that is no text."""
_SHOWN = 200
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_SIZE = re.compile(r"([+-]?)([0-9]{1,18})([kmgt]?)b?", re.IGNORECASE)
_WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for; everything that is given must be so. Sizes in bytes, times in nanoseconds."""

    names: tuple[re.Pattern[str], ...] = ()
    paths: tuple[re.Pattern[str], ...] = ()
    least: int | None = None
    most: int | None = None
    after: int | None = None
    before: int | None = None
    owner: str = ""
    """A number, or a name of the guest's own passwd."""
    start: bytes = b""
    """The folder to look below; empty: where one is."""
    text: re.Pattern[bytes] | None = None
    wide: re.Pattern[bytes] | None = None
    """The same in UTF-16, as Windows writes it."""


@dataclass(frozen=True, slots=True)
class Match:
    """An entry that was found; `line` is the first one with the text, and `number` where it stands."""

    path: bytes
    entry: Entry
    number: int = 0
    line: bytes = b""

    def to_json(self) -> dict[str, object]:
        fields: dict[str, object] = {**named("path", self.path), **self.entry.to_json()}
        if self.number:
            fields |= {"line": self.number, **named("text", self.line)}
        return fields


def wanted(words: Sequence[str]) -> Wanted:
    """What the words of a search mean.

    ``*.conf`` and other words with ``*``, ``?`` or ``[`` are patterns for the name, or for the path if
    they hold a slash; a plain word is a part of the name, capital letters or not. ``size:+1M`` at least,
    ``size:-10k`` at most; ``after:2024-05-01`` and ``before:…`` the time of change; ``owner:ann``;
    ``text:word`` what stands in a file; ``in:/etc`` where. A name may be spelled as `safe` spells it. Raises
    `WrongUsage`.
    """
    names: list[re.Pattern[str]] = []
    paths: list[re.Pattern[str]] = []
    given: dict[str, str] = {}
    for word in words:
        key, colon, value = word.partition(":")
        if colon and key in ("in", "size", "after", "before", "owner", "text") and value:
            given[key] = value
        elif "/" in word:
            paths.append(_pattern(word))
        elif word:
            names.append(_pattern(word, 0 if _WILD.search(word) else re.IGNORECASE))
    if not names and not paths and not given:
        raise WrongUsage(
            _("There is nothing to look for."),
            remedy=_("Say it like: *.conf  letter  size:+1M  after:2024-05-01  owner:ann  text:password"),
        )
    least, most = _sizes(given.get("size", ""))
    text = given.get("text", "")
    return Wanted(
        names=tuple(names),
        paths=tuple(paths),
        least=least,
        most=most,
        after=_moment(given.get("after", "")),
        before=_moment(given.get("before", "")),
        owner=given.get("owner", ""),
        start=os.fsencode(given.get("in", "")),
        text=re.compile(re.escape(os.fsencode(text)), re.IGNORECASE) if text else None,
        wide=re.compile(re.escape(text.encode("utf-16-le", "surrogatepass"))) if text else None,
    )


def _pattern(word: str, flags: int = 0) -> re.Pattern[str]:
    """What a word matches, and what it does where characters in it are spelled as the screen spells them."""
    whole = word if _WILD.search(word) else f"*{word}*"
    return re.compile("|".join(dict.fromkeys((translate(whole), translate(spelled(whole))))), flags)


def _sizes(word: str) -> tuple[int | None, int | None]:
    if not word:
        return None, None
    match = _SIZE.fullmatch(word)
    if not match:
        raise WrongUsage(
            _("{word} is no size.").format(word=safe(word)), remedy=_("Say it like size:+1M or size:-10k.")
        )
    number = int(match[2]) * _UNITS[match[3].lower()]
    if match[1]:
        return (number, None) if match[1] == "+" else (None, number)
    unit = _UNITS[match[3].lower()]
    return number, number + unit - 1


def _moment(word: str) -> int | None:
    """The beginning of a day (or a minute) in nanoseconds, in UTC as all times of a guest are shown."""
    if not word:
        return None
    for form in ("%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y"):
        try:
            parsed = time.strptime(word, form)
        except ValueError:
            continue
        return calendar.timegm(parsed) * 1_000_000_000
    raise WrongUsage(
        _("{word} is no day.").format(word=safe(word)), remedy=_("Say it like after:2024-05-01.")
    )


def find(
    tree: GuestTree,
    start: bytes,
    what: Wanted,
    cancel: CancelToken,
    failed: Callable[[bytes, str], None],
    passed: Callable[[bytes], None] = lambda _path: None,
) -> Iterator[Match]:
    """Everything below the folder `start`, or the one that `what` names, in the order of the disk.

    What cannot be read is told to `failed` and left; `passed` gets each folder. Raises `SalvageError` for a
    start that is not there, `Cancelled`.
    """
    owner = _owner(tree, what.owner)
    with tree.resolve(what.start or start) as place:
        walk = Walk(place.open(LIST), place.path, failed)
        try:
            for step, name, status in walk.steps():
                cancel.check()
                if step is Step.LEAVE:
                    continue
                path = walk.prefix + name
                if step is Step.ENTER:
                    passed(path)
                if not _named(what, name, path):
                    continue
                match = _looked_at(walk.trail.fd, name, path, status, what, owner, cancel, failed)
                if match:
                    yield match
        finally:
            walk.close()


def _owner(tree: GuestTree, word: str) -> int | None:
    if not word:
        return None
    if re.fullmatch(r"[0-9]{1,18}", word):
        return int(word)
    number = guest_numbers(tree).get(os.fsencode(word))
    if number is None:
        raise WrongUsage(
            _("The guest has no user called {name}.").format(name=safe(word)),
            remedy=_("Give the number of the owner."),
        )
    return number


def _named(what: Wanted, name: bytes, path: bytes) -> bool:
    text = os.fsdecode(name)
    return all(one.match(text) for one in what.names) and all(
        one.match(os.fsdecode(path)) for one in what.paths
    )


def _looked_at(
    folder: int,
    name: bytes,
    path: bytes,
    status: os.stat_result | None,
    what: Wanted,
    owner: int | None,
    cancel: CancelToken,
    failed: Callable[[bytes, str], None],
) -> Match | None:
    try:
        status = status or os.stat(name, dir_fd=folder, follow_symlinks=False)
        if not _fits(what, status, owner):
            return None
        target = os.readlink(name, dir_fd=folder) if stat.S_ISLNK(status.st_mode) else None
        entry = Entry.of(name, status, target)
        if what.text is None:
            return Match(path, entry)
        if not stat.S_ISREG(status.st_mode):
            return None
        fd = os.open(name, OPEN_FILE, dir_fd=folder)
        try:
            found = _grep(fd, what, cancel)
        finally:
            os.close(fd)
    except OSError as error:
        failed(path, reason(error))
        return None
    return Match(path, entry, *found) if found else None


def _fits(what: Wanted, status: os.stat_result, owner: int | None) -> bool:
    if (what.least is not None or what.most is not None) and not stat.S_ISREG(status.st_mode):
        return False
    return (
        (what.least is None or status.st_size >= what.least)
        and (what.most is None or status.st_size <= what.most)
        and (what.after is None or status.st_mtime_ns >= what.after)
        and (what.before is None or status.st_mtime_ns < what.before)
        and (owner is None or status.st_uid == owner)
    )


def _grep(fd: int, what: Wanted, cancel: CancelToken) -> tuple[int, bytes] | None:
    """The first line with the text, and its number; nothing in what is no text. Raises OSError."""
    assert what.text and what.wide
    kept, lines, first = b"", 0, True
    wide = False
    while piece := os.read(fd, _CHUNK):
        cancel.check()
        if first:
            wide = piece.startswith(b"\xff\xfe")
            if not wide and b"\0" in piece[:_LOOK]:
                return None
            first = False
        data = kept + piece
        match = (what.wide if wide else what.text).search(data)
        if match:
            number = lines + data.count(b"\n", 0, match.start()) + 1
            start = data.rfind(b"\n", 0, match.start()) + 1
            end = data.find(b"\n", match.end())
            line = data[max(start, match.start() - _SHOWN) : end if end >= 0 else len(data)]
            if wide:
                line = data[match.start() : match.start() + _SHOWN].decode("utf-16-le", "replace").encode()
                line = line.split(b"\n")[0]
            return number, line[:_SHOWN].strip()
        # What may be the beginning of the text at the end of this piece is looked at with the next one
        overlap = max(len(what.text.pattern), len(what.wide.pattern)) * 2
        lines += data.count(b"\n", 0, max(0, len(data) - overlap))
        kept = data[-overlap:]
    return None
