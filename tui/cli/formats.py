"""`inspect --formats`: what can be opened, and how."""

from core.disks.known import KNOWN
from core.errors import Exit
from core.i18n import _, titled
from tui.cli.common import Context


def show_formats(context: Context) -> int:
    """The table of `core.disks.known`: a block for each row, since its sentences are long."""
    if context.options.json:
        context.json({"formats": [one.to_json() for one in KNOWN]})
        return Exit.DONE
    for one in KNOWN:
        context.out(f"{one.name}: {_(one.what)}")
        for name, told in (
            (_("recognised by"), one.recognised),
            (_("read through"), one.through),
            (_("chain"), one.chain),
            (_("what is missing"), one.missing),
        ):
            if told:
                context.out("    " + titled(name, _(told)))
    return Exit.DONE
