"""What all verbs share: options, messages, progress, sessions."""

import argparse
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from core.ascii import takes_all, to_ascii
from core.cancel import CancelToken
from core.command import Command
from core.documents import json_text
from core.errors import Cancelled, Exit
from core.files.progress import Progress
from core.hoststate import Proof
from core.i18n import _, enumerated, ngettext
from core.runner import PlanRunner, Ran, Runner, SystemRunner
from core.script import script
from core.session import Session
from core.text import columns, ljust, rjust, safe, size
from core.undo.state import StateFolder
from core.volumes.model import Inspection
from core.volumes.mounting import Tree
from core.volumes.state import State
from tui.cli.passphrases import Passphrases
from tui.time_left import about

if TYPE_CHECKING:
    from core.tables.lost.search import Searching


@dataclass(slots=True)
class Context:
    """One call of the program: its options, and where its words go."""

    options: argparse.Namespace
    state: StateFolder
    cancel: CancelToken = field(default_factory=CancelToken)
    _passphrases: Passphrases | None = None

    def out(self, line: str = "") -> None:
        """A line of the result."""
        _print(line, sys.stdout, plain=self.options.plain)

    def say(self, line: str) -> None:
        """A message beside the result."""
        _print(line, sys.stderr, plain=self.options.plain)

    def ask(self, question: str) -> None:
        """A question; the answer is typed behind it."""
        _print(question, sys.stderr, plain=self.options.plain, end="")
        sys.stderr.flush()

    def json(self, document: dict[str, Any]) -> None:
        """The one JSON document of a call with --json."""
        sys.stdout.write(json_text(document, 2) + "\n")
        sys.stdout.flush()

    # -- sessions -------------------------------------------------------------------------------

    def runner(self) -> Runner:
        """A runner that runs; with --explain it tells each command."""
        runner = SystemRunner(self.cancel)
        if self.options.explain and not self.options.dry_run:
            runner.listeners.append(lambda ran: self._tell(ran, self.say))
        return runner

    def select(self, session: Session) -> None:
        """Choose the disk that the options name, as they say; passphrases are asked for when wanted."""
        options = self.options
        keys = self._passphrases = self._passphrases or Passphrases(
            options.passphrase_file, options.passphrase_fd, options.key_file, self.cancel
        )
        session.header = options.header
        session.ask = lambda path: keys.unlock(session, path)
        line = self.progress()
        session.progress = line.show
        try:
            session.select(
                options.disk,
                options.format,
                options.allow,
                snapshot=options.snapshot,
                backing=options.backing,
                member=options.member,
            )
        finally:
            line.clear()

    @contextmanager
    def session(self, *, private: bool = True, proves: bool = False) -> Iterator[Session]:
        """A session on the disk that the options name; everything is taken down at its end.

        With `proves` it is said at the end that the host is as it was found; that it is not is always said.
        """
        self.clean_leftovers()
        session = Session(self.state, self.runner(), private=private)
        try:
            with session:
                self.select(session)
                if hasattr(self.options, "volume") and self.options.scan:
                    look(self, session)
                yield session
        finally:
            if session.proof:
                self.tell_proof(session.proof, always=proves)

    def tell_proof(self, proof: Proof, *, always: bool) -> None:
        """Say what the host is like at the end; what somebody else changed is only told with `always`."""
        if always or not proof.as_found:
            self.say(proof.sentence())

    def plan(self, steps: Callable[[Session], object], *, private: bool = True) -> int:
        """The dry run: what `steps` would do, printed from the very commands that would run.

        Only the table is looked at for real, by an export of our own that is gone before the plan is
        made, and an encrypted volume is opened for that look; nothing of the plan is run.
        """
        with Session(self.state, SystemRunner(self.cancel)) as looking:
            self.select(looking)
            inspection = look(self, looking)
            if hasattr(self.options, "volume"):
                looking.find(self.options.volume)
                inspection = looking.inspect()
            foreseen = looking.seen()

        def planned(runner: Runner) -> None:
            session = Session(self.plan_state, runner, private=private)
            session.foresee(foreseen)
            self.select(session)
            session.know(inspection)
            steps(session)

        return self.planned(planned, stays=not private)

    @property
    def plan_state(self) -> StateFolder:
        """Where a plan puts things: a script's lie apart from the sessions, which have journals."""
        return StateFolder(self.state.path / "by-hand") if self.options.as_script else self.state

    def planned(self, work: Callable[[Runner], object], *, stays: bool = False) -> int:
        """Print the commands that `work` would run to change something; `stays`: to be used by others."""
        commands: list[Command] = []
        runner = PlanRunner(self.cancel)
        runner.listeners.append(
            lambda ran: commands.append(ran.command) if _told_in_plan(ran.command) else None
        )
        work(runner)
        if self.options.as_script:
            self._print_script(script(commands, self.options.disk, stays=stays))
        else:
            self._print_plan(commands)
        return Exit.DONE

    def _print_script(self, text: str) -> None:
        """As it is, whatever the terminal can show: what is changed in it would be run."""
        if self.options.json:
            self.json({"script": text})
            return
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode())
        sys.stdout.buffer.flush()

    def _print_plan(self, commands: list[Command]) -> None:
        back = [undo for command in reversed(commands) for undo in command.undo]
        if self.options.json:
            self.json({"commands": [_told(c) for c in commands], "undo": [_told(c) for c in back]})
            return
        for command in commands:
            if self.options.explain:
                self.out(f"# {command.why}")
            self.out(command.shell())
        if back:
            self.out("# " + _("and back, last first:"))
        for command in back:
            if self.options.explain:
                self.out(f"# {command.why}")
            self.out(command.shell())

    def _tell(self, ran: Ran, say: Callable[[str], None]) -> None:
        say(f"# {ran.command.why}")
        say(f"{ran.command.shell()}")
        for undo in ran.command.undo:
            say("#   " + _("undone by: {command}").format(command=undo.shell()))

    def clean_leftovers(self) -> None:
        """Take down what dead sessions left; a mount that was left up on purpose stays."""
        self.state.sweep()
        for known in self.state.leftovers():
            self.say(
                _("Session {id} on {disk} ended without taking down what it put up:").format(
                    id=known.account.session, disk=safe(known.account.disk)
                )
            )
            for release in self.state.undo(known, SystemRunner(CancelToken())):
                self.say("  " + release.note)

    @contextmanager
    def stopping(self) -> Iterator[None]:
        """Signals and a lost terminal stop the work, and everything is taken down in order."""

        def stop(_number: int, _frame: object) -> None:
            self.cancel.cancel()

        old = {n: signal.signal(n, stop) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            yield
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)

    # -- progress -------------------------------------------------------------------------------

    def progress(self) -> "ProgressLine":
        return ProgressLine(sys.stderr, plain=self.options.plain)


class ProgressLine:
    """Progress as one line that is written over, where there is a terminal; else nothing."""

    def __init__(self, stream: TextIO, *, plain: bool) -> None:
        self._stream = stream
        self._plain = plain
        self._shown = 0
        self._live = stream.isatty()

    def show(self, progress: Progress) -> None:
        if not self._live:
            return
        parts = [size(progress.bytes_done)]
        if progress.phase:
            parts[0] = f"{progress.phase}  {parts[0]}"
        if progress.bytes_total:
            parts[0] += " / " + size(progress.bytes_total)
        parts.append(
            ngettext("{count} file", "{count} files", progress.files_done).format(count=progress.files_done)
        )
        if progress.rate:
            parts.append(size(int(progress.rate)) + "/s")
        if progress.seconds_left is not None:
            parts.append(about(progress.seconds_left))
        parts.append(progress.current)
        self._write(_cut("  ".join(parts), 78))

    def show_search(self, searching: "Searching") -> None:
        """The same for a search, with what was found so far."""
        if not self._live:
            return
        parts = [f"{size(searching.done)} / {size(searching.total)}"]
        if searching.rate:
            parts.append(size(int(searching.rate)) + "/s")
        if searching.seconds_left is not None and searching.done < searching.total:
            parts.append(about(searching.seconds_left))
        if searching.found:
            names = dict.fromkeys(one.content for one in searching.found)
            parts.append(_("found: {names}").format(names=enumerated(names)))
        self._write("  ".join(parts)[:78])

    def _write(self, line: str) -> None:
        shown = to_ascii(line) if self._plain else line
        width = columns(shown)
        self._stream.write("\r" + shown + " " * (self._shown - width))
        self._stream.flush()
        self._shown = width

    def clear(self) -> None:
        """Leave the line empty for what comes next."""
        if self._live and self._shown:
            self._write("")
            self._stream.write("\r")


def _cut(text: str, width: int) -> str:
    """The beginning of a text that fits into `width` columns: a longer line would not be written over."""
    taken = 0
    for at, char in enumerate(text):
        taken += columns(char)
        if taken > width:
            return text[:at]
    return text


def _told_in_plan(command: Command) -> bool:
    return command.changes or command.by_hand


def _told(command: Command) -> dict[str, Any]:
    return {"shell": command.shell(), "why": command.why, "effect": command.effect}


def _print(line: str, stream: TextIO, *, plain: bool, end: str = "\n") -> None:
    # The last line of defence: whoever made the line should have done so
    line = "\n".join(map(safe, line.split("\n")))
    if plain or not takes_all(stream):
        line = to_ascii(line)
    try:
        stream.write(line + end)
    except BrokenPipeError as error:  # `| head` has seen enough
        raise Cancelled(_("The reader of the output is gone.")) from error
    except OSError as error:
        raise Cancelled(_("The terminal is gone.")) from error


def table(rows: Sequence[tuple[str, ...]], right: frozenset[int] = frozenset()) -> list[str]:
    """Rows as aligned lines; the columns in `right` are aligned to the right."""
    widths = [max(columns(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            rjust(cell, width) if column in right else ljust(cell, width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def open_volume(
    session: Session, options: argparse.Namespace, point: Path | None = None, state: State | None = None
) -> Tree:
    """Mount the volume that the options name, as they say; in another `state` where that is given."""
    return session.open(
        options.volume,
        point,
        options.way,
        content=options.fs,
        to_end=options.to_end,
        state=state or wanted_state(options),
        subvolume=options.subvolume,
    )


def wanted_state(options: argparse.Namespace) -> State:
    """The state of the file system that the options ask for."""
    return State.REPAIRED if options.repair else State.REPLAYED if options.replay else State.LEFT


def look(context: Context, session: Session) -> Inspection:
    """The table and the volumes; those that a search finds, where the options ask for one."""
    if not context.options.scan:
        return session.inspect()
    line = context.progress()
    try:
        return session.search(line.show_search)
    finally:
        line.clear()


def absolute(path: str | Path) -> Path:
    """`path` made absolute without following links."""
    return Path(path).expanduser().absolute()
