"""A line that somebody typed, as the words of one command: with sums, but no shell behind it."""

import ast
import operator
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from glob import glob
from pathlib import Path

from core.errors import WrongUsage
from core.i18n import _

_SUM = re.compile(r"\$\(\(([0-9+*/%() -]{1,80})\)\)")
_LARGEST = 1 << 63
_OPERATORS: Mapping[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.floordiv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


@dataclass(frozen=True, slots=True)
class Line:
    """One command: its words, and the file that its output goes to, if it was told so."""

    words: tuple[str, ...]
    output: str = ""
    bytewise: bool = False
    """Whether ``LC_ALL=C`` stood in front: text is bytes then, for grep(1) and the like."""

    @property
    def program(self) -> str:
        return self.words[0]


def parsed(text: str, home: Path) -> Line | None:
    """The command in a line; None where there is none. Raises `WrongUsage` for what this prompt does not do.

    ``$((63*512))`` is worked out, patterns are matched in `home`, ``> FILE`` takes the output, a ``sudo``
    in front is passed over, ``LC_ALL=C`` is understood. There are no pipes, no variables, no second command.
    """
    lexer = shlex.shlex(
        _SUM.sub(lambda match: str(_worked_out(match[1])), text), posix=True, punctuation_chars=True
    )
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError as error:
        raise WrongUsage(_("A quote is not closed.")) from error
    if words and words[0] == "sudo":
        words = words[1:]
    bytewise = words[:1] == ["LC_ALL=C"]
    words = words[1:] if bytewise else words
    if not words:
        return None
    output = ""
    if len(words) > 2 and words[-2] == ">":
        output = words[-1]
        words = words[:-2]
    for word in words:
        if (word and set(word) <= set("|;&<>()")) or "`" in word or "$(" in word:
            raise WrongUsage(
                _("This prompt takes one command at a time: no pipes, no `{word}`.").format(word=word),
                remedy=_("Give one command; `> FILE` at its end keeps its output."),
            )
    return Line(tuple(one for word in words for one in _matched(word, home)), output, bytewise)


def _matched(word: str, home: Path) -> list[str]:
    if not set(word) & set("*?["):
        return [word]
    return sorted(glob(word, root_dir=home)) or [word]


def _worked_out(text: str) -> int:
    """A sum of whole numbers; raises `WrongUsage` for what is none."""
    try:
        value = _value(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ZeroDivisionError, ValueError, RecursionError) as error:
        raise WrongUsage(_("{text} is no sum of whole numbers.").format(text=text)) from error
    return value


def _value(node: ast.expr) -> int:
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        value: int = node.value
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = -_value(node.operand)
    elif isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        value = _OPERATORS[type(node.op)](_value(node.left), _value(node.right))
    else:
        raise ValueError(ast.dump(node))
    if abs(value) >= _LARGEST:
        raise ValueError(value)
    return value
