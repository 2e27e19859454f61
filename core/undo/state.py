"""The state folder: one folder for each session that has something up, with its journal and its files."""

import fcntl
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from core import host, mounts
from core.errors import SalvageError, WrongUsage
from core.i18n import _
from core.runner import Runner
from core.text import quoted, safe
from core.undo import journal as journals
from core.undo.account import Account, Entry
from core.undo.health import is_gone, remarks
from core.undo.journal import Journal
from core.undo.live import Seen, seen
from core.undo.pairs import OWN_MAPPINGS
from core.undo.stack import Release, Stack


def default_folder() -> Path:
    """Where the state lies when nobody says otherwise: it must survive a reboot, so not in /run."""
    if os.geteuid() == 0:
        return Path("/var/lib/virt-salvage")
    base = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local/state")
    return Path(base) / "virt-salvage"


@dataclass(frozen=True, slots=True)
class Known:
    """A session that the state folder knows."""

    account: Account
    alive: bool

    @property
    def is_leftover(self) -> bool:
        """Whether it died and nobody asked to leave up what it put up."""
        return not self.alive and not self.account.kept and not self.account.half

    def gone(self, entry: Entry) -> str:
        """That it went without being taken down, as its journal does not tell; empty for what stands."""
        if self.alive or entry.state != "held" or not is_gone(entry):
            return ""
        return _("went with its program or the boot")

    def to_json(self) -> dict[str, object]:
        account = self.account
        said = remarks(account.entries)
        gone = {entry.number: told for entry in account.entries if (told := self.gone(entry))}
        return {
            "id": account.session,
            "disk": account.disk,
            "alive": self.alive,
            "kept": account.kept,
            **({"half_written": account.half.sentence(account.session)} if account.half else {}),
            "pid": account.pid if self.alive else 0,
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(account.began)),
            "entries": [
                {
                    **entry.to_json(),
                    **({"remark": remark} if (remark := (said | gone).get(entry.number)) else {}),
                    **({"gone": True} if entry.number in gone else {}),
                }
                for entry in account.entries
                if entry.stands
            ],
        }


class NotWrittenDown(SalvageError):
    """Something was taken down, and the state folder could not take note of it."""

    def __init__(self, folder: Path, reason: str, releases: Sequence[Release]) -> None:
        self.releases = list(releases)
        super().__init__(
            _("That it was taken down could not be written to {path}: {reason}.").format(
                path=safe(folder), reason=safe(reason)
            ),
            remedy=_("`virt-salvage status` names it until that folder can be written again."),
        )


class StateFolder:
    """The sessions of one user on this host."""

    def __init__(self, path: Path) -> None:
        self.path = Path(os.path.abspath(path))

    def command(self, *words: str) -> str:
        """A call of this program that works on these sessions, as one types it."""
        own = () if self.path == default_folder() else ("--state-dir", str(self.path))
        return " ".join(map(quoted, ("virt-salvage", *own, *words)))

    @property
    def sessions(self) -> Path:
        """The folder that has one folder for each session."""
        return self.path / "sessions"

    def new_folder(self) -> Path:
        """A folder for a new session, named by time; not made yet."""
        return self.sessions / (time.strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(2))

    def begin(self, folder: Path, disk: str) -> Journal:
        """Make the folder of a new session and start its journal.

        Raises SalvageError where that cannot be; then nothing of it stays.
        """
        try:
            self.sessions.mkdir(parents=True, mode=0o700, exist_ok=True)
            with self._locked(fcntl.LOCK_SH):
                folder.mkdir(mode=0o700)
                try:
                    return Journal.begin(folder, disk)
                except BaseException:
                    _remove_unbegun(folder)
                    raise
        except OSError as error:
            raise SalvageError(
                _("The state folder {path} cannot be used: {error}.").format(
                    path=safe(self.path), error=error.strerror
                ),
                _("Without a journal nothing is changed on this host. The disk is untouched."),
                _("Choose another place with --state-dir."),
            ) from error

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        """Hold the lock of the folder of sessions: shared while one begins, alone to remove one."""
        descriptor = os.open(self.sessions, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, how)
            yield
        finally:
            os.close(descriptor)

    def sweep(self) -> None:
        """Remove the folders of sessions that were killed before their journal began.

        Nothing was put up for them. While any session of a living process begins, all stay.
        """
        # What cannot be removed now takes nothing from anybody, and may go the next time.
        with suppress(OSError), self._locked(fcntl.LOCK_EX | fcntl.LOCK_NB):
            for folder in self._folders():
                if not (folder / journals.NAME).exists():
                    _remove_unbegun(folder)

    def _folders(self) -> list[Path]:
        """The folders of sessions, the oldest first. Raises OSError."""
        try:
            with os.scandir(self.sessions) as listing:
                return sorted(Path(one.path) for one in listing if one.is_dir(follow_symlinks=False))
        except FileNotFoundError:
            return []

    def known(self) -> list[Known]:
        """All sessions whose journal can be read, the oldest first; never raises."""
        return self._look()[0]

    def problems(self) -> list[str]:
        """What of the state folder cannot be read, a sentence each."""
        return self._look()[1]

    def _look(self) -> tuple[list[Known], list[str]]:
        found: list[Known] = []
        problems: list[str] = []
        try:
            folders = self._folders()
        except OSError as error:
            note = _("The state folder {path} cannot be read: {reason}.")
            reason = os.strerror(error.errno or 0)
            return [], [note.format(path=safe(self.sessions), reason=safe(reason))]
        for folder in folders:
            path = folder / journals.NAME
            try:
                found.append(Known(journals.read(path), journals.lives(path)))
            except FileNotFoundError:
                if _has_lost_journal(folder):
                    problems.append(_("Session {name} has no journal.").format(name=safe(folder.name)))
            except OSError as error:
                note = _("The journal of session {name} cannot be read: {reason}.")
                reason = os.strerror(error.errno or 0)
                problems.append(note.format(name=safe(folder.name), reason=safe(reason)))
        # Not by name: two that began in the same second have names in any order
        return sorted(found, key=lambda one: one.account.order), problems

    def unaccounted(self) -> list[Seen]:
        """What is up by our names though no journal tells of it, in the order of taking it down.

        What a session at work has up is its own affair.
        """
        known = {one.account.session: one for one in self.known()}
        return [one for one in seen(self.sessions) if not _tells(known.get(one.session), one)]

    def leftovers(self) -> list[Known]:
        """The sessions that died without taking down what they put up."""
        return [one for one in self.known() if one.is_leftover]

    def find(self, name: str) -> Known:
        """The session of that name; raises WrongUsage when there is none."""
        for one in self.known():
            if one.account.session == name:
                return one
        raise WrongUsage(
            _("There is no session {name}.").format(name=safe(name)),
            remedy=_("`virt-salvage status` lists the sessions."),
        )

    def undo(self, known: Known, runner: Runner, *, lazy: bool = False) -> list[Release]:
        """Take down what a dead or kept session put up, last first, and forget it when all is down.

        With `lazy` a mount that is busy goes out of sight; see `Stack.release`. What another program took
        down meanwhile, or takes down at this moment, is that one's to tell: nothing is released here.

        Raises `core.errors.SalvageError` when the session is alive, `NotWrittenDown` when it was taken
        down and the state folder could not take note of that.
        """
        path = self.sessions / known.account.session / journals.NAME
        try:
            journal = Journal.adopt(path)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise SalvageError(
                _("The journal {path} cannot be read: {reason}.").format(
                    path=safe(path), reason=safe(os.strerror(error.errno or 0))
                ),
                _("Nothing was taken down."),
                _("`virt-salvage status` shows what can be seen without it."),
            ) from error
        if journal is None:
            if not host.runs(known.account.pid, known.account.started):
                return []
            raise SalvageError(
                _("Session {name} is at work (pid {pid}).").format(
                    name=safe(known.account.session), pid=known.account.pid
                ),
                _("Nothing was taken down."),
                _("End that program first; it takes down what it put up."),
            )
        releases: list[Release] = []
        try:
            try:
                stack = Stack(journal, runner)
                releases += stack.release_to(lazy=lazy)
            except OSError as error:
                raise _stopped(error) from error
            try:
                if not stack.standing and not self._is_up(known.account):
                    self.forget(journal)
            except OSError as error:
                raise NotWrittenDown(path.parent, os.strerror(error.errno or 0), releases) from error
        finally:
            journal.close()
        if journal.unwritten and path.exists():
            raise NotWrittenDown(path.parent, journal.unwritten, releases)
        return releases

    def _is_up(self, account: Account) -> bool:
        """Whether something is up that a damaged journal does not tell."""
        return bool(account.damaged) and any(one.session == account.session for one in seen(self.sessions))

    def forget(self, journal: Journal) -> None:
        """Remove the folder of a session that has nothing up any more.

        Only plain files and empty folders are removed, and nothing while a mount is inside. Somebody else may
        have removed all of it.
        """
        folder = journal.path.parent
        if mounts.below(folder) or not folder.exists():
            return
        journal.append("end")
        for one in sorted(folder.rglob("*"), reverse=True):
            if one == journal.path:
                continue
            if one.is_dir() and not one.is_symlink():
                one.rmdir()
            else:
                one.unlink(missing_ok=True)  # a daemon that ends removes its own
        journal.path.unlink(missing_ok=True)
        with suppress(FileNotFoundError):  # without its journal another session may sweep it away
            folder.rmdir()


def _stopped(error: OSError) -> SalvageError:
    """What is told when something unforeseen stopped taking down."""
    return SalvageError(
        _("Taking down stopped: {reason}.").format(reason=safe(str(error))),
        _("What was taken down before that is gone; the journal names the rest. The disk is untouched."),
        _("`virt-salvage undo` goes on where it stopped."),
    )


def _remove_unbegun(folder: Path) -> None:
    """Remove a session's folder that has nothing in it but the beginning of a journal."""
    if {one.name for one in folder.iterdir()} <= {journals.NEW}:
        (folder / journals.NEW).unlink(missing_ok=True)
        folder.rmdir()


def _has_lost_journal(folder: Path) -> bool:
    """Whether a session's folder has things in it, so that there was a journal once."""
    try:
        return not {one.name for one in folder.iterdir()} <= {journals.NEW}
    except OSError:
        return False  # its session ended while we looked


def _tells(known: Known | None, one: Seen) -> bool:
    """Whether a session's journal tells of something that is seen."""
    if known is None:
        return False
    # A mapping's name does not say what it is for, and the journal has a word for each
    seen_as = OWN_MAPPINGS if one.what in OWN_MAPPINGS else {one.what}
    told = {os.path.basename(entry.target) for entry in known.account.standing if entry.what in seen_as}
    # Of a loop device that was only intended the journal does not know the name yet.
    return known.alive or os.path.basename(one.target) in told or "" in told
