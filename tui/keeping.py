"""What is kept of a recovery beside its report: a script that does the same by hand, and what was run."""

from collections.abc import Iterator
from pathlib import Path

from core.errors import SalvageError
from core.files.destination import Destination
from core.files.entry import iso_time
from core.i18n import _, listed
from core.runner import PlanRunner, Ran
from core.script import script
from core.text import duration, safe
from core.undo.state import StateFolder
from tui import plans
from tui.flow import Flow

SCRIPT = "salvage-by-hand.sh"
TRANSCRIPT = "salvage-transcript.txt"


def place_of(target: Destination | None) -> tuple[Path, str] | None:
    """The folder of the report and what its files' names begin with; None where none lies on this host."""
    if target is None or target.shape not in ("folder", "tar", "zip"):
        return None
    return (target.path, "") if target.shape == "folder" else (target.path.parent, target.path.name + ".")


def do_keep(flow: Flow) -> list[Path]:
    """Write the script and the transcript beside the report; nothing that is there is written over.

    Raises `SalvageError` where they cannot be written, or for a plan that is none any more.
    """
    place = place_of(flow.target)
    if place is None or flow.volume is None or flow.disk is None:
        raise SalvageError(_("There is no copy to make a script of."))
    folder, prefix = place
    texts = {SCRIPT: _by_hand(flow, str(flow.disk.path)), TRANSCRIPT: "\n".join(_told(flow.ran())) + "\n"}
    return [_put(folder, prefix + name, text, name == SCRIPT) for name, text in texts.items()]


def _by_hand(flow: Flow, disk: str) -> str:
    """The script; what it puts up lies apart from the sessions, which have journals."""
    runner = PlanRunner(flow.operator.cancel)
    with flow.maker(StateFolder(flow.state.path / "by-hand"), runner, True) as session:
        plans.copying(flow)(session)
    planned = (ran.command for ran in runner.transcript)
    return script([command for command in planned if command.changes or command.by_hand], disk)


def _told(transcript: list[Ran]) -> Iterator[str]:
    for ran in transcript:
        yield from (f"# {line}" for line in safe(ran.command.why).splitlines())
        yield safe(ran.command.shell())
        if ran.result:
            told = _("exit status {status}, {time}")
            ended = told.format(status=ran.result.status, time=duration(ran.result.seconds))
            yield "#   " + listed((iso_time(int(ran.when) * 1_000_000_000), ended))
        for undo in ran.command.undo:
            yield "#   " + _("undone by: {command}").format(command=safe(undo.shell()))
        yield ""


def _put(folder: Path, name: str, text: str, runs: bool) -> Path:
    stem, _dot, ending = name.rpartition(".")
    number = 1
    while True:
        path = folder / (name if number == 1 else f"{stem}-{number}.{ending}")
        try:
            with open(path, "x", encoding="utf-8", errors="surrogateescape") as sink:
                sink.write(text)
            path.chmod(0o700 if runs else 0o600)
            return path
        except FileExistsError:
            number += 1
        except OSError as error:
            raise SalvageError(
                _("{path} cannot be written: {reason}.").format(path=safe(path), reason=error.strerror),
                _("The copied files and their report are not concerned."),
                _("Make room there or look after the folder, and save it again."),
            ) from error
