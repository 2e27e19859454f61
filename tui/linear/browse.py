"""Walking in the guest's folders by numbers, and marking what is to be copied."""

from core.errors import SalvageError
from core.files.entry import Entry
from core.i18n import _, ngettext
from core.text import date, safe, size
from tui.flow import Flow
from tui.linear.talk import Asides, Talk

PAGE = 20
"""Entries that are read out at once."""


class Browser:
    """One visit to the open volume's files."""

    def __init__(self, flow: Flow, talk: Talk, asides: Asides) -> None:
        self._flow = flow
        self._talk = talk
        self._asides = asides
        self._folder = b"/"
        self._first = 0
        self._entries: list[Entry] = []
        self._marked: dict[bytes, None] = dict.fromkeys(flow.marked)

    def choose(self) -> tuple[bytes, ...]:
        """What is to be copied; nothing when the person goes back."""
        self._enter(b"/")
        question = _(
            "A number opens a folder, m and numbers mark (m 1 3), m alone marks this folder, n next lines,"
            " u up, y copies what is marked, b back:"
        )
        while True:
            word, *rest = self._talk.read(question, self._asides).split() or [""]
            if word == "b":
                return ()
            if word == "y" and self._marked:
                return tuple(self._marked)
            if word == "n":
                self._first = self._first + PAGE if self._first + PAGE < len(self._entries) else 0
                self._tell()
            elif word == "u":
                self._enter(self._folder.rstrip(b"/").rpartition(b"/")[0] or b"/")
            elif word == "m":
                self._mark(rest)
            elif (entry := self._numbered(word)) and entry.kind == "dir":
                self._enter(self._path(entry))
            elif entry:
                self._mark([word])
            else:
                self._talk.say(_("That is none of the answers."))

    def _enter(self, folder: bytes) -> None:
        try:
            entries = self._flow.operator.submit(self._listed, folder).result()
        except SalvageError as error:
            self._talk.say(error.paragraph())
            return
        self._folder, self._entries, self._first = folder, entries, 0
        self._tell()

    def _listed(self, folder: bytes) -> list[Entry]:
        with self._flow.road().guest() as tree:
            return sorted(tree.entries(folder), key=lambda one: (one.kind != "dir", one.name))

    def _tell(self) -> None:
        count = len(self._entries)
        told = ngettext("{path}, {count} entry", "{path}, {count} entries", count)
        self._talk.say(told.format(path=safe(self._folder), count=count))
        for number in range(self._first, min(self._first + PAGE, count)):
            entry = self._entries[number]
            parts = [safe(entry.name), _("folder") if entry.kind == "dir" else entry.kind]
            if entry.kind == "file":
                parts += [size(entry.size), date(entry.mtime_ns / 1e9)]
            if self._path(entry) in self._marked:
                parts.append(_("marked"))
            self._talk.say(f"{number + 1}: " + ", ".join(parts))
        left = count - self._first - PAGE
        if left > 0:
            self._talk.say(_("and {count} more: n").format(count=left))

    def _path(self, entry: Entry) -> bytes:
        return self._folder.rstrip(b"/") + b"/" + entry.name

    def _numbered(self, word: str) -> Entry | None:
        known = word.isascii() and word.isdigit() and 0 < int(word) <= len(self._entries)
        return self._entries[int(word) - 1] if known else None

    def _mark(self, words: list[str]) -> None:
        """Mark, or unmark what was marked; without a word, the folder that one is in."""
        found = [self._numbered(word) for word in words]
        if None in found:
            self._talk.say(_("That is none of the answers."))
            return
        for path in [self._path(one) for one in found if one] or [self._folder]:
            if path in self._marked:
                del self._marked[path]
            else:
                self._marked[path] = None
        names = ", ".join(safe(path) for path in self._marked)
        self._talk.say(_("Marked: {names}").format(names=names or _("nothing")))
