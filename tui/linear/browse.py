"""Walking in the guest's folders by numbers, and marking what is to be copied."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice

from core.errors import SalvageError
from core.files.entry import Entry
from core.files.finding import Match, find, wanted
from core.files.matters import matters
from core.i18n import _, enumerated, listed, ngettext, titled
from core.text import guest_date, safe, size
from tui.linear.ground import Ground
from tui.linear.talk import Asides, numbered
from tui.marks import goes_along, outermost, over
from tui.widgets.file_table import kind_told

PAGE = 20
"""Entries that are read out at once."""
MOST = 1000
"""Hits of a search that are kept."""
FEW = 5
"""Names that are read out of those that are marked."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line that has a number: an entry of a folder, or of what was found."""

    path: bytes
    told: str
    folder: bool


class Browser:
    """One visit to the open volume's files."""

    def __init__(self, ground: Ground) -> None:
        self._ground, self._flow, self._talk = ground, ground.flow, ground.talk
        self._answers = _(
            "A number opens a folder, m and numbers mark (m 1 3), m alone marks this folder, n next lines,"
            " u up, f and words find (f *.conf size:+1M), w what matters first, p changes whether whole paths"
            " are kept at the target, y copies what is marked,"
            " b back, ? help, c commands, q leave:"
        )
        """All that can be answered: long to hear, so said at first, with the help, and after nonsense."""
        lesson = ground.asides("files")
        self._asides = Asides(lambda: [*lesson.help(), self._answers], lesson.commands)
        self._folder = b"/"
        self._title = ""
        self._first = 0
        self._rows: list[Row] = []
        self._searched = False
        """Whether what was found stands there."""
        self._marked: dict[bytes, None] = dict.fromkeys(ground.flow.marked)
        self._warned = ground.flow.marked if ground.flow.copied else ()
        """What was marked when it was copied, or when it was said that the marks get lost."""

    def choose(self) -> tuple[bytes, ...]:
        """What is to be copied; nothing when the person goes back."""
        self._enter(b"/")
        question = self._answers
        while True:
            word, *rest = self._talk.read(question, self._asides).split() or [""]
            question = _("What next? ? tells all answers:")
            if word == "b" and self._searched:
                self._enter(self._folder)
            elif word == "b" and self._goes():
                return ()
            elif word == "b":
                self._talk.say(_("Not copied yet: b again closes the volume and drops what is marked."))
            elif word == "y" and self._marked:
                return outermost(self._marked)
            elif word == "y":
                self._talk.say(_("Nothing is marked yet."))
            elif word == "n":
                self._first = self._first + PAGE if self._first + PAGE < len(self._rows) else 0
                self._tell()
            elif word == "u":
                self._enter(self._folder.rstrip(b"/").rpartition(b"/")[0] or b"/")
            elif word == "m":
                self._mark(rest)
            elif word == "p":
                self._change_paths()
            elif word == "f":
                self._look(_("Searching; Ctrl+C stops it."), partial(self._found, rest))
            elif word == "w":
                self._look(_("Looking what matters."), self._matters)
            elif (row := self._numbered(word)) and row.folder:
                self._enter(row.path)
            elif row:
                self._mark([word])
            else:
                self._talk.say(_("That is none of the answers."))
                question = self._answers

    def _goes(self) -> bool:
        """Whether nothing gets lost by going back, or that was said already."""
        marked = outermost(self._marked)
        known, self._warned = marked in ((), self._warned), marked
        return known

    # -- what stands there ------------------------------------------------------------------------

    def _enter(self, folder: bytes) -> None:
        self._searched = False  # whether or not it can be listed: `b` does not lead here again and again
        try:
            rows = self._flow.operator.submit(self._listed, folder).result()
        except SalvageError as error:
            self._talk.say(error.paragraph())
            return
        self._folder, self._rows, self._first, self._title = folder, rows, 0, safe(folder)
        self._tell()

    def _listed(self, folder: bytes) -> list[Row]:
        with self._flow.road().guest() as tree:
            entries = sorted(tree.entries(folder), key=lambda one: (one.kind != "dir", one.name))
        return [_row(folder.rstrip(b"/") + b"/" + one.name, one, safe(one.name)) for one in entries]

    def _look(self, told: str, search: Callable[[], list[Row]]) -> None:
        """Let what was found stand there in the place of the folder: `b` leads back to that, `u` above it."""
        try:
            rows = self._ground.work(told, search)
        except SalvageError as error:
            self._talk.say(error.paragraph())
            return
        self._rows, self._first, self._title = rows, 0, _("Found")
        self._searched = True
        self._tell()

    def _found(self, words: list[str]) -> list[Row]:
        """Entries at and below the folder one is in that are as the words say, see `core.files.finding`."""
        failed: list[str] = []
        with self._flow.road().guest() as tree:
            hits = find(
                tree,
                self._folder,
                wanted(words),
                self._flow.operator.cancel,
                lambda path, error: failed.append(titled(safe(path), error)),
            )
            rows = [_row(hit.path, hit.entry, _hit(hit)) for hit in islice(hits, MOST)]
        for one in failed[:PAGE]:
            self._talk.say(_("not read: {path}").format(path=one))
        if len(rows) == MOST:
            self._talk.say(_("These are the first {count}; say it closer.").format(count=MOST))
        return rows

    def _matters(self) -> list[Row]:
        with self._flow.road().guest() as tree:
            return [Row(one.path, listed((safe(one.path), one.why)), folder=False) for one in matters(tree)]

    def _tell(self) -> None:
        count = len(self._rows)
        told = ngettext("{path}, {count} entry", "{path}, {count} entries", count)
        self._talk.say(told.format(path=self._title, count=count))
        for number in range(self._first, min(self._first + PAGE, count)):
            row = self._rows[number]
            marked = [_("marked")] if row.path in self._marked else []
            if over(row.path, self._marked):
                marked = [_("goes with its marked folder")]
            self._talk.say(f"{number + 1}: " + listed((row.told, *marked)))
        left = count - self._first - PAGE
        if left > 0:
            self._talk.say(_("and {count} more: n").format(count=left))

    def _change_paths(self) -> None:
        choices = self._flow.choices
        self._flow.choices = replace(choices, paths=not choices.paths)
        told = _("At the target, each thing comes under its own name.")
        if self._flow.choices.paths:
            told = _("At the target, the guest's whole paths are kept.")
        self._talk.say(told)

    # -- marking ----------------------------------------------------------------------------------

    def _numbered(self, word: str) -> Row | None:
        number = numbered(word, len(self._rows))
        return self._rows[number - 1] if number else None

    def _mark(self, words: list[str]) -> None:
        """Mark, or unmark what was marked; without a word, the folder that one is in."""
        found = [self._numbered(word) for word in words]
        if None in found:
            self._talk.say(_("That is none of the answers."))
            return
        for path in [one.path for one in found if one] or [self._folder]:
            if folder := over(path, self._marked):
                self._talk.say(goes_along(folder))
            elif path in self._marked:
                del self._marked[path]
            else:
                self._marked[path] = None
        names = some_of(outermost(self._marked)) or _("nothing")
        self._talk.say(_("Marked: {names}").format(names=names))


def _row(path: bytes, entry: Entry, name: str) -> Row:
    if entry.error:
        parts = [entry.error]
    elif entry.kind == "file":
        parts = [_("file"), size(entry.size), guest_date(entry.mtime_ns / 1e9)]
    else:
        parts = [kind_told(entry)]
    return Row(path, listed([name, *parts]), entry.kind == "dir")


def _hit(hit: Match) -> str:
    return f"{safe(hit.path)}:{hit.number}: {safe(hit.line)}" if hit.number else safe(hit.path)


def some_of(paths: Sequence[bytes]) -> str:
    """The first few of them, and how many more there are: nobody wants to hear forty names."""
    names = enumerated(safe(path) for path in paths[:FEW])
    more = len(paths) - FEW
    return listed([names, _("and {count} more").format(count=more)]) if more > 0 else names
