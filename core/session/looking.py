"""From a disk to its bytes, its partition table and what lies in it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from core.disks import front
from core.disks import overlay as overlays
from core.disks import view as views
from core.disks.addresses import is_login
from core.disks.front import needed, prove
from core.disks.locks import ReadLock
from core.disks.model import Disk
from core.disks.overlay import OverlayRoom
from core.disks.view import View
from core.errors import Cancelled, NeedsPassphrase, SalvageError
from core.secrets import Secret
from core.session.reaching import Reaching
from core.volumes.inspecting import inspected, inspected_all
from core.volumes.layers import Layers
from core.volumes.luks.opening import by_header, closed, no_header
from core.volumes.luks.opening import needed as needed_of
from core.volumes.model import Encrypted, Inspection, Volume
from core.volumes.state import State

if TYPE_CHECKING:
    # What only some ways need is imported when it is: the first listing is to be there at once
    from core.tables.lost.search import Searching


class Looking(Reaching):
    """protect → inspect, and the passphrases that are wanted on the way."""

    def beside(self) -> Self:
        """Another session on the same disk, to look at it in another state; the caller closes it."""
        other = type(self)(self._state, self.runner, private=self._private)
        other._secrets = self._secrets
        other.take(self._chosen(), self.others.disks)
        other.know(self.inspect())
        return other

    def protect(self, *, overlay: bool) -> None:
        """Choose between reading only and an overlay that takes every write."""
        disk = self._chosen()
        disk.require_openable()
        self._take_down_view()
        if overlay:
            self.others.require_reading()
        self._writable = overlay
        if overlay:
            self.overlay_room().require()
            self._begin(str(disk.path))

    def overlay_room(self) -> OverlayRoom:
        """Where an overlay would lie, and how much room it has there."""
        return overlays.room(self.folder, self._chosen().virtual_size)

    def view(self) -> View:
        """The disk's raw bytes; attached now if they are not yet.

        Raises Refused when a running program writes to the disk.
        """
        if self._view is None:
            disk = self._chosen()
            disk.require_openable()
            self._marks.require_same()
            self._unlock(disk)
            lock = self._hold.take(disk)
            self._begin(str(disk.path))
            self._view = self._shown(self._served(disk, lock), lock)
            if self.others.disks:
                self._view = self._joined(disk, self._view)
            self._base_mark = self._tree_mark = self.stack.mark()
            self._layers = Layers(
                self.stack, self._view, self.folder, self._tied, self._volume, self._secrets
            )
        return self._view

    def unlock(self, path: Path, secret: Secret) -> None:
        """Take the passphrase of an encrypted image of the chain, or open the volume whose id `path` is.

        It may be the password of the address that is being opened, too; that it lets us in is the proof.
        Raises NeedsPassphrase for a wrong one.
        """
        if is_login(path):
            self._log_in(path, secret)
            return
        if not path.is_absolute():
            self._open_locked(self._volume(str(path)), secret)
        for link in self._chosen().locked:
            if link.path == path:
                if not self.planning:
                    prove(link, secret, self.runner)
                self._secrets[path] = secret

    def _unlock(self, disk: Disk) -> None:
        """Ask for the passphrases that are not known; raises NeedsPassphrase where nobody tells them."""
        if self.planning:
            return
        for link in disk.locked:
            if link.path not in self._secrets:
                if self.ask is None:
                    raise needed(link.path)
                self.ask(link.path)

    def _served(self, disk: Disk, lock: ReadLock) -> Disk:
        """The disk as QEMU's other programs can open it: by a daemon of its own where it wants one."""
        if not disk.wants_front:
            return disk
        try:
            return front.show(self.stack, disk, self.folder, lock, self._secrets, tie=self._tied)
        except BaseException:
            self._release_to(self._ground)
            raise

    def _shown(self, disk: Disk, lock: ReadLock) -> View:
        length = max(disk.virtual_size, self._room)
        over: Path | None = None
        if self._writable or self._lies is not State.LEFT or length > disk.virtual_size:
            over = views.overlay(self.stack, disk, self.folder, length)
        return views.show(
            self.stack,
            disk,
            self.folder,
            lock,
            tie=self._tied,
            over=over,
            size=length,
            writable=self._writable or self._lies is not State.LEFT,
        )

    def _joined(self, disk: Disk, first: View) -> View:
        try:
            whole, self._placed = self.others.show(self.stack, first, disk, self.folder, tie=self._tied)
            return whole
        except BaseException:
            self._release_to(0)
            raise

    def inspect(self) -> Inspection:
        """The partition table and what each volume contains."""
        if self._known:
            return self._known
        if self._inspection is None:
            view, sector_size = self.view(), self._chosen().sector_size
            with self._watch.work():
                if self._found:
                    from core.volumes.searched import searched

                    self._inspection = searched(view, self._found, sector_size, self.folder, self.runner)
                elif self.others.disks:
                    self._inspection = inspected_all(view, self._placed, self.folder, self.runner)
                else:
                    self._inspection = inspected(view, sector_size, self.folder, self.runner)
        return self._inspection

    def find(self, name: str) -> Volume:
        """The volume of that id; encrypted ones that it may be or lie in are opened, which wants passphrases.

        Raises WrongUsage that lists the volumes, where there is none.
        """
        asked: set[str] = set()
        wrong: NeedsPassphrase | None = None
        while True:
            inspection = self.inspect()
            volume = inspection.get(name) or self._by_header(name)
            if volume and not (volume.locked and not self.planning):
                return volume
            if volume is None and (around := inspection.get(name.removesuffix("/luks"))):
                if around.content is None and not around.seen_when_opened:
                    raise no_header(around)
                return inspection.volume(name)
            above = "/" in name or name.startswith("md:")
            locked = [volume] if volume else [one for one in inspection.volumes if one.locked and above]
            todo = next((one for one in locked if one.id not in asked), None)
            if todo is None or self.planning:
                if wrong:
                    raise wrong
                return inspection.volume(name)
            asked.add(todo.id)
            try:
                self._ask_for(todo)
            except NeedsPassphrase as error:
                if not error.again:
                    raise
                wrong = error  # it may lie in another one, which this passphrase opens

    def unlock_what_fits(self) -> list[SalvageError]:
        """Open every encrypted volume that the passphrases given open; why the others stay locked."""
        wrong: dict[str, SalvageError] = {}
        while True:
            locked = [one for one in self.inspect().volumes if one.locked and one.id not in wrong]
            if not locked or self.planning:
                return list(wrong.values())
            try:
                self._ask_for(locked[0])
            except Cancelled:
                raise
            except SalvageError as error:
                wrong[locked[0].id] = error

    def volume_of(self, path: Path) -> Volume:
        """The volume whose id `ask` was given as a path."""
        return self._volume(str(path))

    def _volume(self, name: str) -> Volume:
        return self._by_header(name) or self.inspect().volume(name)

    def _by_header(self, name: str) -> Volume | None:
        """The volume ``5/luks`` by a header that lies apart, as long as it was not opened by it."""
        outer, luks, rest = name.rpartition("/luks")
        around = self.inspect().get(outer)
        known = self.inspect().get(name)
        if not (self.header and luks and around and not rest) or (known and not known.locked):
            return None
        return by_header(around, self.header, self.runner, self.folder)

    def _ask_for(self, volume: Volume) -> None:
        """Get the passphrase of an encrypted volume and open it; raises NeedsPassphrase.

        None is asked for where no key opens it.
        """
        if isinstance(volume.layer, Encrypted) and volume.layer.hindrance and not self.header:
            raise closed(volume.layer.hindrance)
        if secret := self._secrets.get(Path(volume.id)):
            self._open_locked(volume, secret)
        elif self.ask is None:
            raise needed_of(volume)
        else:
            self.ask(Path(volume.id))

    def _open_locked(self, volume: Volume, secret: Secret) -> None:
        """Open an encrypted volume; from now on it and what lies in it are seen."""
        inspection = self.inspect()
        self.close_tree()
        self._secrets[Path(volume.id)] = secret
        try:
            with self._watch.work():
                found = self._above().unlocked(volume)
        except BaseException:
            self._secrets.pop(Path(volume.id))
            self._release_to(self._base_mark)
            raise
        self._base_mark = self._tree_mark = self.stack.mark()
        rest = [one for one in inspection.volumes if one.id != volume.id]
        at = next((at for at, one in enumerate(inspection.volumes) if one.id == volume.id), len(rest))
        self._inspection = replace(inspection, volumes=(*rest[:at], *found, *rest[at:]))

    def _above(self) -> Layers:
        self.view()
        assert self._layers
        return self._layers

    def search(
        self,
        progress: "Callable[[Searching], None] | None" = None,
        enough: Callable[[], bool] = lambda: False,
    ) -> Inspection:
        """Search the disk for lost partitions; from now on they stand in the place of its table.

        As soon as it is `enough`, what was found so far is taken.
        """
        from core.tables.lost.search import search

        if self._known:
            return self._known
        view = self.view()
        with self._watch.work():
            self._found = search(view.path, self.runner.cancel, progress, enough)
        self._inspection = None
        return self.inspect()

    def forget_search(self) -> Inspection:
        """Go back to the disk's own table."""
        self._found = self._inspection = None
        return self.inspect()

    def know(self, inspection: Inspection) -> None:
        """Take over what another session saw on the same disk, for a plan that may not attach."""
        self._known = inspection

    def trust(self, other: "Looking | None") -> None:
        """Take over the passphrases that another session was told."""
        self._secrets.update(other._secrets if other else {})
