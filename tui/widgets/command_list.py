"""Commands as one would type them, each with its reason and its way back."""

from collections.abc import Sequence

from core.command import Command
from core.i18n import _
from core.runner import Ran, Result
from core.text import duration, safe
from tui.widgets.lines import Line, Piece, wrapped
from tui.widgets.pager import Pager
from tui.widgets.shell_text import shell_lines

_PROMPT = "$ "
_INDENT = "  "


class CommandList(Pager):
    """Shell lines with why each is run, how it is undone, and for those that ran how they ended."""

    def show(self, items: Sequence[Command | Ran]) -> None:
        """Show commands to come, or the transcript of those that ran."""
        kept = tuple(items)
        self.draw_with(lambda width: drawn(kept, width))


def drawn(items: Sequence[Command | Ran], width: int) -> list[Line]:
    """The commands in lines of at most `width` columns."""
    if not items:
        return [(Piece(text),) for text in wrapped(_("No command is run here."), width)]
    lines: list[Line] = []
    for item in items:
        command = item.command if isinstance(item, Ran) else item
        lines += _block("# " + safe(command.why), "# ", width, "pager--muted")
        if command.by_hand:
            lines += _block(
                "# " + _("done by this program itself; by hand it would be:"), "# ", width, "pager--muted"
            )
        lines += _shell(_PROMPT + safe(command.shell()), width)
        if command.effect:
            lines += _block(_INDENT + safe(command.effect), _INDENT, width, "")
        else:
            lines += _block(_INDENT + _("only looks, changes nothing"), _INDENT, width, "pager--muted")
        for undo in command.undo:
            told = _("undone by: {command}").format(command=safe(undo.shell()))
            lines += _shell(_INDENT + told, width)
        if isinstance(item, Ran) and item.result:
            lines += _ending(command, item.result, width)
        lines.append(())
    return lines


def _ending(command: Command, result: Result, width: int) -> list[Line]:
    took = duration(result.seconds)
    if result.status in command.good:
        return _block(_INDENT + _("ok, {time}").format(time=took), _INDENT, width, "pager--good")
    told = _("FAILED with status {status}, {time}").format(status=result.status, time=took)
    lines = _block(_INDENT + told, _INDENT, width, "pager--bad")
    for line in result.err.strip().splitlines()[-3:]:
        lines += _block(_INDENT * 2 + safe(line[:400]), _INDENT * 2, width, "pager--bad")
    return lines


def _shell(text: str, width: int) -> list[Line]:
    return [(Piece(line, "pager--command"),) for line in shell_lines(text, width, _INDENT * 2)]


def _block(text: str, rest: str, width: int, role: str) -> list[Line]:
    return [(Piece(line, role),) for line in wrapped(text, width, rest)]
