"""The keys of a screen: what each does, for the help, for the list of all keys, and for the tests."""

from dataclasses import dataclass

from textual import events
from textual.binding import Binding
from textual.dom import DOMNode
from textual.screen import Screen

from core.i18n import _, enumerated
from tui.screens.dialog import EVERYWHERE

_NAMES = {
    "question_mark": "?",
    "colon": ":",
    "slash": "/",
    "escape": "Esc",
    "enter": "Enter",
    "space": "Space",
    "tab": "Tab",
    "backspace": "Backspace",
    "delete": "Del",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "home": "Home",
    "end": "End",
}


_ARROWS = {"↑↓": "Up/Down", "↑": "Up", "↓": "Down", "←": "Left", "→": "Right"}
"""What is said where there are no arrows: ``^v`` would be read as Ctrl+V."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Keys that do one thing, and who does it."""

    names: str
    does: str
    node: DOMNode
    action: str


def name_of(key: str) -> str:
    """A key as it is named for a person: ``Esc``, ``Ctrl+P``, ``G``."""
    if key in _NAMES:
        return _NAMES[key]
    if len(key) == 1:
        return key
    return "+".join(part.capitalize() if len(part) > 1 or "+" in key else part for part in key.split("+"))


def press_of(name: str) -> events.Key | None:
    """A key as if it were pressed, from its name as `name_of` gives it; None for a name of several keys."""
    by_name = {told: key for key, told in _NAMES.items()}
    if name in by_name or (name[:1] == "F" and name[1:].isdigit()):
        return events.Key(by_name.get(name, name.lower()), name if len(name) == 1 else None)
    return events.Key(name, name) if len(name) == 1 else None


def in_ascii(names: str) -> str:
    """The names of keys for a terminal without arrows."""
    for arrow, word in _ARROWS.items():
        names = names.replace(arrow, word)
    return names


def keys_of(screen: Screen[object]) -> list[Bound]:
    """What can be done on the screen by a key: first its own keys, then those of the part that has the focus.

    The keys of every screen come last.
    """
    found: dict[tuple[int, str], list[tuple[str, Binding, DOMNode]]] = {}
    for key, active in screen.active_bindings.items():
        binding, node = active.binding, active.node
        if binding.description and not _is_textuals(binding, node) and _has_use(binding, node):
            found.setdefault((id(node), binding.description), []).append((key, binding, node))
    bound = [
        Bound(_joined([key for key, _binding, _node in same]), _(does), same[0][2], same[0][1].action)
        for (_id, does), same in found.items()
    ]
    everywhere = {binding.action for binding in EVERYWHERE if isinstance(binding, Binding)}
    return sorted(bound, key=lambda one: (one.action in everywhere, one.node is not screen))


def _joined(keys: list[str]) -> str:
    names = [name_of(key) for key in keys]
    if len(keys) > 2 and all(key.isdigit() for key in keys):
        return f"{min(names)}-{max(names)}"
    return enumerated(names)


def _has_use(binding: Binding, node: DOMNode) -> bool:
    """Whether the key would do more now than say why it does nothing."""
    asked = getattr(node, "has_use", None)
    return asked is None or bool(asked(binding.action))


def _is_textuals(binding: Binding, node: DOMNode) -> bool:
    """Whether it is a key of the library's, for typing or scrolling, that does nothing of ours."""
    ours = (kind for kind in type(node).__mro__ if kind.__module__.partition(".")[0] == "tui")
    bound = (one for kind in ours for one in kind.__dict__.get("BINDINGS", ()))
    return binding.action not in {one.action for one in bound if isinstance(one, Binding)}
