"""What a session tells at its end: the proof that the host is as it was found, and the reports with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from core.hoststate import HostState, Owners, Proof, prove
from core.runner import Runner
from core.undo.account import Entry
from core.undo.state import StateFolder

if TYPE_CHECKING:
    from core.files.outcome import Copied
    from core.files.report import Report

Entries = Mapping[str, Sequence[Entry]]
"""What was put up, by the name of the journal that tells it."""


@dataclass(frozen=True, slots=True)
class Told:
    """A report that was written while things of the session were still up."""

    dest: Path
    facts: Mapping[str, object]
    copied: "Copied"
    report: "Report"
    prefix: bytes


class Records:
    """The host before, what was put up since, and the reports that tell of it."""

    def __init__(self, state: StateFolder, runner: Runner) -> None:
        self.before = HostState.now(state.sessions)
        self.past: dict[str, Sequence[Entry]] = {}
        """What was put up and taken down again under journals that have ended."""
        self.proof: Proof | None = None
        self._state = state
        self._runner = runner
        self._told: list[Told] = []

    def report(
        self, dest: Path, facts: Mapping[str, object], copied: "Copied", up: Entries, prefix: bytes = b""
    ) -> None:
        """Write a report now; it is written again when everything is down, with the proof of that."""
        report = self._write(dest, facts, copied, replace(self._prove(up), at_work=True), prefix)
        self._told.append(Told(dest, facts, copied, report, prefix))

    def finish(self, up: Entries) -> None:
        """Look what the host is like now that everything was to go, and complete the reports."""
        self.proof = self._prove(up)
        for told in self._told:
            for path in told.report.files:
                path.unlink(missing_ok=True)
            if told.dest.is_dir():
                self._write(told.dest, told.facts, told.copied, self.proof, told.prefix)
        self._told.clear()

    def _prove(self, up: Entries) -> Proof:
        mine = {**self.past, **up}
        owners = Owners(self._state.sessions)
        for session, entries in mine.items():
            owners.add(session, entries)
        others = [one.account for one in self._state.known() if one.account.session not in mine]
        return prove(self.before, self._state.sessions, mine, owners, others)

    def _write(
        self, dest: Path, facts: Mapping[str, object], copied: "Copied", proof: Proof, prefix: bytes
    ) -> "Report":
        from core.files.report import write_report

        after = {"proof": proof.to_json(), **proof.after.to_json()}
        before, ran = self.before.to_json(), self._runner.transcript
        return write_report(dest, facts, copied, ran, before, after, prefix)
