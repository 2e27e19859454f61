"""From a name to a disk: vetted, brought to light where it lies elsewhere, and who holds it."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from core import host
from core.disks import beside
from core.disks.addresses import Address
from core.disks.marks import Marks
from core.disks.model import Disk
from core.disks.places import Reached, is_elsewhere, reach
from core.disks.silence import Silence
from core.disks.vet import vet
from core.errors import NeedsPassphrase, WrongUsage
from core.i18n import _
from core.runner import SystemRunner
from core.secrets import Secret
from core.session.upkeep import Upkeep
from core.text import safe


class Reaching(Upkeep):
    """select, with the password of an address that is wanted on the way."""

    _ahead: "Reaching | None" = None
    """The session that looks where the disk is, for this one that only plans."""

    def select(
        self,
        given: str,
        format: str | None = None,
        allow: Sequence[Path] = (),
        *,
        snapshot: str | None = None,
        backing: Sequence[Path] = (),
        member: str | None = None,
    ) -> Disk:
        """Vet a disk and look who holds it; the disk. Nothing is attached yet.

        `given` may be ``DISK,DISK2``, see `core.disks.beside`, ``vm:NAME``, see `core.machines.choosing`, or
        an address or a packed image, whose bytes are shown as a file then, see `core.disks.places`; `member`
        names it in an archive of several. For `snapshot` and `backing` see `core.disks.vet`. Raises Refused
        when its header points outside or its format is ambiguous, and SalvageError for what is no disk.
        """
        from core.machines.choosing import by_machine

        self._reset_to_disk()
        given, *rest = beside.named(given)
        others = [vet(*by_machine(one, format), allow, self.runner, backing=backing) for one in rest]
        place, stated = by_machine(given, format)
        if not is_elsewhere(place, stated):
            if member is not None:
                raise WrongUsage(_("{path} is no archive.").format(path=safe(place)))
            vetted = vet(place, stated, allow, self.runner, snapshot=snapshot, backing=backing)
            return self.take(vetted, others)
        if others:
            raise WrongUsage(_("Several disks at once have to be files or devices of this host."))
        if self.planning and self._foreseen is None:  # a plan looks by a session that does look
            with type(self)(self._state, SystemRunner(self.runner.cancel)) as looking:
                looking.ask, self._ahead = self.ask, looking
                try:
                    looking.select(given, format, allow, snapshot=snapshot, backing=backing, member=member)
                finally:
                    self._ahead = None
                self._foreseen = looking.seen()
        try:
            reached = self._let_in(place, stated, member)
            if self.planning:
                return self.disk or self._chosen()
            vetted = vet(
                str(reached.path),
                stated,
                allow,
                self.runner,
                snapshot=snapshot,
                backing=backing,
                apparent=reached.apparent,
            )
            return self.take(reached.disk(vetted, given), keep=True)
        except BaseException as error:
            ended = self._silence.error if self._silence else None
            self._reset_to_disk()
            if ended and not isinstance(error, NeedsPassphrase):
                self.runner.cancel.check()
                raise ended from error
            raise

    def _let_in(self, given: str, stated: str | None, member: str | None) -> Reached:
        """Bring the bytes to light; asks for the password of the address where one is wanted."""
        try:
            return self._reach(given, stated, member)
        except NeedsPassphrase as error:
            self._secrets.pop(error.path, None)
            if self.ask is None:
                raise
            self._reset_to_disk()
            self._wanted = (given, stated, member)
            try:
                self.ask(error.path)
            finally:
                self._wanted = None
            assert self._reached
            return self._reached

    def _log_in(self, path: Path, secret: Secret) -> None:
        """Take the password of the address that is being opened; that it lets us in is the proof."""
        self._secrets[path] = secret
        try:
            if self._ahead:
                self._ahead._log_in(path, secret)
            elif self._wanted:
                self._reach(*self._wanted)
        except NeedsPassphrase:
            self._secrets.pop(path)
            if not self._ahead:
                self._reset_to_disk()
            raise

    def _reach(self, given: str, stated: str | None, member: str | None) -> Reached:
        """Bring the bytes of a disk that lies elsewhere to light as a file; in a plan, as foreseen."""
        self._begin(given)
        foreseen = self._foreseen
        self._reached = reached = reach(
            self.stack,
            given,
            self.folder,
            member=member,
            listener=self.progress,
            tie=self._tied,
            format=stated,
            planned=foreseen[1].layers if foreseen else (),
            secrets=self._secrets,
            watch=self._listen,
        )
        self._ground = self.stack.mark()
        if self.planning and foreseen:
            self.disk = reached.foreseen(foreseen[0])
        return reached

    def _listen(self, found: Address, place: Path) -> None:
        """Watch the server that a disk is read from, see `core.disks.silence`."""
        shown = next(entry for entry in self.stack.standing if entry.target == str(place))

        def end() -> None:
            pid, since = shown.identity.get("pid"), shown.identity.get("started")
            if isinstance(pid, int) and isinstance(since, int) and host.runs(pid, since):
                os.kill(pid, signal.SIGKILL)

        self._silence = Silence(found, place, end, self.runner.cancel)

    def seen(self) -> tuple[Disk, Reached] | None:
        """Where the disk was found, for `foresee` of a plan; None where a plan can look itself."""
        return (self.disk, self._reached) if self.disk and self._reached else None

    def foresee(self, seen: tuple[Disk, Reached] | None) -> None:
        """Take over where another session found the disk, for a plan that may not look there."""
        self._foreseen = seen

    def take(self, disk: Disk, others: Sequence[Disk] = (), *, keep: bool = False) -> Disk:
        """Go on with a disk that was vetted; the same with everybody who holds it.

        The `others` hold parts of what lies on it too; they are only read. With `keep` what it lies on
        stays up.
        """
        if not keep:
            self._reset_to_disk()
        disk = self._hold.look(disk)
        self.others = beside.chosen(others, self._new_hold)
        self.disk = disk
        self._marks, self._changes = Marks.of(disk), {}
        return disk
