"""The moves through the wizard that an after-talk tells: a verb and a word, as a sentence for a person."""

from collections.abc import Mapping

from core.i18n import N_, _, enumerated
from core.lab.stopping import REASONS

_MOVES: Mapping[str, tuple[str, str]] = {
    "protect read": (N_("Protect: choose read only."), ""),
    "protect overlay": (N_("Protect: choose the overlay, which takes every write."), ""),
    "search": (N_("Partition: press s to search the disk for lost partitions."), ""),
    "snapshot": (N_("Protect: work on the snapshot {word} instead of the present state."), "word"),
    "backing": (N_("Disk: let {word} stand in for the missing backing file."), "word"),
    "unlock": (N_("Partition: open {word} with its passphrase, to browse and copy."), "word"),
    "open": (N_("Partition: open {word}, to browse and copy."), "word"),
    "replay": (N_("Partition: open {word}, to browse and copy with its journal replayed."), "word"),
    "mark": (N_("Files: mark {word} with the space bar."), "word"),
    "target": (N_("Files: press t and copy to {word}."), "word"),
    "copy": (N_("Files: press y to copy."), ""),
    "answer": (N_("Answer the question of the ticket: {word}"), "word"),
    "leftovers": (N_("Start: choose what earlier sessions left, and take down {word}."), "word"),
    "stop": (N_("Hand the ticket back: {word}"), "reason"),
}


def split(move: str) -> tuple[str, str]:
    """A move as its verb and its word."""
    if move in _MOVES:
        return move, ""
    verb, _space, word = move.partition(" ")
    return verb, word


def problem(move: str) -> str:
    """What is wrong with a move, for the one who writes it; empty if nothing is."""
    verb, word = split(move)
    if verb not in _MOVES:
        return _("{move} is no move; there are {names}").format(move=move, names=enumerated(_MOVES))
    kind = _MOVES[verb][1]
    if bool(word) != bool(kind):
        told = _("{move} wants a word behind it") if kind else _("{move} wants no word")
        return told.format(move=verb)
    if kind == "reason" and word not in REASONS:
        return _("the reason must be one of {names}").format(names=enumerated(REASONS))
    return ""


def told(move: str) -> str:
    """A move as a sentence."""
    verb, word = split(move)
    sentence, kind = _MOVES[verb]
    return _(sentence).format(word=_(REASONS[word]) if kind == "reason" else word)
