"""From a volume to its files, or to a verdict on them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from core.disks.view import View
from core.errors import Refused, SalvageError
from core.i18n import _
from core.volumes import kpartx, mounting, nbd, subvolumes
from core.volumes.choosing import chosen
from core.volumes.loop import Device
from core.volumes.model import Volume
from core.volumes.mounting import Tree, Way
from core.volumes.state import State

if TYPE_CHECKING:
    # What only some ways need is imported when it is: the first listing is to be there at once
    from core.volumes.checkers import Checked
from core.session.looking import Looking


class Opening(Looking):
    """Mounts volumes, after their journal was replayed or they were repaired where that is wanted."""

    def _make_room(self, end: int) -> None:
        """Let the view reach to byte `end`, where the disk was cut short: what is missing reads as zeros."""
        if end > self.view().size:
            self.others.require_reading()
            self._release_to(self._ground)
            self._view, self._layers, self._room = None, None, end

    def overlay(self) -> Path:
        """The overlay of a writable view, with all taken down again that stands on it.

        Raises `SalvageError` where there is none, or where what stands on it cannot be taken down.
        """
        entry = next((one for one in self.stack.standing if one.what == "overlay"), None)
        if entry is None:
            raise SalvageError(_("There is no overlay."), remedy=_("Choose to protect the disk with one."))
        self._tree = self._view = self._inspection = self._layers = None
        self._release_to(entry.number)
        return Path(entry.target)

    def open(
        self,
        name: str,
        point: Path | None = None,
        way: Way = "loop",
        *,
        content: str | None = None,
        to_end: bool = False,
        state: State = State.LEFT,
        subvolume: str = "",
    ) -> Tree:
        """Mount the volume of that id; at a place of our own, or at `point`.

        The tree that was open before is taken down first. For `content` and `to_end` see
        `core.volumes.choosing`. Any `state` but the first is made in an overlay. `subvolume` names one of a
        btrfs by its path or its number.
        """
        volume, view = self._found_volume(name, way, content=content, to_end=to_end, state=state)
        private = self._private and not point
        tie = self._tied and not point
        where, log = point or self.folder / "tree", self.folder / "reader.log"
        try:
            with self._watch.work():
                tree = mounting.mount(
                    self.stack,
                    view,
                    volume,
                    where,
                    log,
                    way=way,
                    private=private,
                    tie=tie,
                    writable=self._writable,
                    state=state,
                    more=subvolumes.mount_option(volume, subvolume) if subvolume else "",
                    prepare=self._readying(volume, where, state) if state is State.REPAIRED else None,
                )
        except BaseException:
            self._release_to(self._base_mark)
            raise
        self.volume, self._tree, self.subvolume = volume, tree, subvolume
        return tree

    def check(
        self,
        name: str,
        way: Way = "loop",
        *,
        content: str | None = None,
        to_end: bool = False,
        state: State = State.LEFT,
    ) -> "Checked":
        """Check the file system of a volume in that `state` without writing to the disk.

        The tree that was open before is taken down first.
        """
        from core.volumes import checkers

        volume, view = self._found_volume(name, way, content=content, to_end=to_end, state=state)
        try:
            with self._watch.work():
                device = mounting.attached(self.stack, view, volume, way, self.folder, tie=self._tied)
                if state is not State.LEFT:
                    self._readying(volume, self.folder / "tree", state)(device)
                return replace(checkers.check(self.runner, volume, device.path, state), volume=volume)
        finally:
            self._release_to(self._base_mark)

    def _found_volume(
        self, name: str, way: Way, *, content: str | None, to_end: bool, state: State
    ) -> tuple[Volume, View]:
        """The volume as it is to be opened, on a view that lets it be brought into that `state`."""
        volume = self.find(name)
        if way == "kpartx":
            kpartx.require(self.inspect(), volume, to_end=to_end)
        elif way == "nbd":
            nbd.require(self.inspect(), volume)
        self.close_tree()
        self._lay(state)
        if not volume.apart:
            volume = chosen(volume, self.view(), content=content, to_end=to_end)
            self._make_room(volume.offset + volume.size)
            return volume, self.view()
        try:
            with self._watch.work():
                layers = self._above()
                layers.prepare(volume)
                self._base_mark = self._tree_mark = self.stack.mark()
                view, volume = layers.place(volume)
                self._tree_mark = self.stack.mark()
            if not view.writable and (self._writable or state is not State.LEFT):
                raise _not_writable()
            return chosen(volume, view, content=content, to_end=to_end), view
        except BaseException:
            self._release_to(self._base_mark)
            raise

    def _lay(self, state: State) -> None:
        """Let the view be one over which a volume can be in that state; another overlay of ours goes."""
        if not self._writable and state is not self._lies:
            self._release_to(self._ground)
            self._view = self._layers = None
            self._repaired.clear()
            if state is not State.LEFT:
                self.others.require_reading()
                self.overlay_room().require()
        self._lies = state

    def _readying(self, volume: Volume, point: Path, state: State) -> Callable[[Device], None]:
        """Brings the volume into that state on its device, once; see `core.volumes.readying`."""
        from core.volumes.readying import ready

        private = self._private and point.parent == self.folder

        def work(device: Device) -> None:
            if volume.id in self._repaired:
                return
            self._cost = ready(self.stack, volume, device, point, private=private, state=state)
            if state is State.REPAIRED:
                self._repaired.add(volume.id)

        return work


def _not_writable() -> Refused:
    return Refused(
        _("What has to be put together without the device mapper is opened for reading only."),
        _("Nothing was mounted."),
        _("Read it without an overlay, or open the disk on a host that has the device mapper."),
    )
