"""What stands between the raw bytes of a disk and its volumes: put up when it is wanted, each once.

An encrypted volume that was opened, and an array or logical volume that others lie in, stay up as long as
the disk is attached; what only the open volume stands on goes with it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.disks.view import View
from core.errors import SalvageError
from core.i18n import _, sentences
from core.secrets import Secret
from core.tables.content import Content, probe
from core.tables.sectors import Sectors
from core.text import safe
from core.undo.stack import Stack
from core.volumes import joined, tables
from core.volumes.above import with_above
from core.volumes.loop import check_rights
from core.volumes.luks.opening import needed, open_encrypted
from core.volumes.luks.windows import open_bitlocker
from core.volumes.lvm.mapping import Mapper, as_its_metadata_say
from core.volumes.lvm.runs import NotPlain, Places
from core.volumes.md.mapping import put_together
from core.volumes.md.model import Array
from core.volumes.model import Encrypted, Pieces, Volume, with_content
from core.volumes.parity import daemon
from core.volumes.parity.model import Raid
from core.volumes.readable import Nothing, Readable, Window
from core.volumes.space import Space


def _without_mapper(volume: Volume, reason: NotPlain) -> SalvageError:
    """The error for a volume that only the kernel could put together, where it cannot."""
    told = _("{volume} cannot be put together here: {reason}")
    name = volume.title[:1].upper() + volume.title[1:]
    return SalvageError(
        told.format(volume=name, reason=reason.what),
        reason.meaning or _("Nothing was opened; the disk is untouched."),
        reason.remedy
        or sentences((tables.problem(), _("Open the disk on a host that has it, with the package dmsetup."))),
    )


@dataclass(frozen=True, slots=True)
class Base:
    """Where the bytes of a layer are: from byte `begin` of the view on."""

    view: View
    begin: int = 0


@dataclass(slots=True)
class Layers:
    """The layers over one view of a disk.

    `find` gives a volume by its id, `secrets` the passphrases of encrypted ones by their ids as paths.
    """

    stack: Stack
    view: View
    folder: Path
    tie: bool
    find: Callable[[str], Volume]
    secrets: Mapping[Path, Secret]
    _up: dict[str, Base] = field(default_factory=dict)

    def prepare(self, volume: Volume) -> None:
        """Put up what lies below a volume: all that others may lie in too."""
        self._base(volume.under)
        if isinstance(volume.layer, Encrypted):
            self._layer(volume)

    def place(self, volume: Volume) -> tuple[View, Volume]:
        """The view that has a volume's bytes, and the volume as it lies there; what is missing is put up.

        Raises `NeedsPassphrase` where that is missing or wrong.
        """
        base = self._layer(volume) if volume.layer else self._base(volume.under)
        offset = base.begin + (0 if volume.layer else volume.offset)
        placed = replace(volume, offset=offset)
        if volume.seen_when_opened and not self.stack.runner.planning:
            placed = with_content(placed, self._probed(base.view, offset, volume.size))
        return base.view, placed

    def _probed(self, view: View, offset: int, size: int) -> Content:
        """What lies in a range; libblkid gives up where a part of it is on a disk that is not here."""
        seen = probe(view.path, offset, size, self.stack.runner)
        if seen.content or seen.candidates:
            return seen
        with Sectors(view.path, view.size) as sectors:
            space = Space(sectors, self.stack.runner, self.folder)
            ends = space.probe_ends(Window(sectors, offset, size), size)
        return ends if ends.content or ends.candidates else seen

    def unlocked(self, volume: Volume) -> tuple[Volume, ...]:
        """Open an encrypted volume: it as it is when it is open, and all that lies in it."""
        view, placed = self.place(volume)
        opened = replace(placed, offset=volume.offset)
        inner = replace(opened, offset=0, layer=None, under=volume.id)
        with Sectors(view.path, view.size) as sectors:
            source = Window(sectors, placed.offset, volume.size)
            space = Space(source, self.stack.runner, self.folder, view.path, placed.offset, volume.id)
            first, *found = with_above(space, [inner])
        return replace(opened, problems=first.problems), *found

    # -- inside -------------------------------------------------------------------------------

    def _base(self, name: str) -> Base:
        return self._layer(self.find(name)) if name else Base(self.view)

    def _layer(self, volume: Volume) -> Base:
        up = self._up.get(volume.id)
        if up and self._stands(up):
            return up
        check_rights(self.stack.runner.planning)
        if isinstance(volume.layer, Encrypted):
            made = self._decrypted(volume, volume.layer)
        elif isinstance(volume.layer, Pieces):
            made = self._logical(volume, volume.layer, self._base(volume.under))
        else:
            assert isinstance(volume.layer, Array)
            made = self._array(volume, volume.layer, self._base(volume.under))
        self._up[volume.id] = made
        return made

    def _stands(self, base: Base) -> bool:
        if self.stack.runner.planning:
            return True
        return {entry.target for entry in self.stack.standing}.issuperset(base.view.on)

    def _decrypted(self, volume: Volume, layer: Encrypted) -> Base:
        secret = self.secrets.get(Path(volume.id))
        if secret is None and not self.stack.runner.planning:
            raise needed(volume)
        view, outer = self.place(layer.outer)
        if layer.bitlocker:
            return Base(*open_bitlocker(self.stack, view, outer, volume, secret, self.folder))
        return Base(*open_encrypted(self.stack, view, outer, layer, secret, self.folder, tie=self.tie))

    def _logical(self, volume: Volume, layer: Pieces, below: Base) -> Base:
        with self._source(below) as source:
            places, logical = Places(layer.group, source), layer.group.logical[layer.name]
            if raid := places.reckoned(logical):
                return self._reckoned(raid, volume, below, as_its_metadata_say(layer.name))
            if not tables.problem():
                mapper = Mapper(self.stack, below.view, self.folder, places, below.begin, self.tie)
                return self._mapped(mapper.show(layer.name), volume, below)
            try:
                runs = places.runs(logical, joined.MOST)
            except NotPlain as error:
                raise _without_mapper(volume, error) from error
        return self._joined(volume, [(one.offset, one.size) for one in runs], below)

    @contextmanager
    def _source(self, below: Base) -> Iterator[Readable]:
        """The bytes of a base; a plan has none, and takes all legs of a RAID for whole."""
        if self.stack.runner.planning:
            yield Nothing()
            return
        with Sectors(below.view.path, below.view.size) as sectors:
            yield Window(sectors, below.begin, below.view.size - below.begin)

    def _array(self, volume: Volume, array: Array, below: Base) -> Base:
        if array.hindrance:
            raise SalvageError(array.hindrance, _("The disk is untouched."))
        if array.parity:
            why = _("Put the array {name} together, without resynchronising it.")
            return self._reckoned(array.raid, volume, below, why.format(name=safe(array.name)))
        if tables.problem():
            return self._joined(volume, array.pieces(joined.MOST), below)
        session = self.folder.name
        shown = put_together(self.stack, below.view, session, array, below.begin, volume.content)
        return self._mapped(shown, volume, below)

    def _reckoned(self, raid: Raid, volume: Volume, below: Base, why: str) -> Base:
        raid, title = raid.moved(below.begin), volume.title
        return Base(daemon.show(self.stack, below.view, raid, self.folder, title, why, tie=self.tie))

    def _joined(self, volume: Volume, pieces: Sequence[tuple[int, int]], below: Base) -> Base:
        places = [(below.begin + offset, size) for offset, size in pieces]
        made = joined.pieces_of(below.view, places)
        on = below.view.on
        return Base(joined.show(self.stack, made, self.folder, volume.title, on=on, tie=self.tie))

    @staticmethod
    def _mapped(shown: tables.Shown, volume: Volume, below: Base) -> Base:
        size = shown.begin + volume.size
        view = View(Path(shown.path), size, below.view.writable, on=(shown.path,))
        return Base(view, shown.begin)
