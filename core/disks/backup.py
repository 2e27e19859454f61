"""A verified backup of a disk: a byte copy of the files that it lies in, never a conversion.

A conversion fails on a damaged image, and reads what a file lacks as zeros. A byte copy keeps
everything that is there, for another try with another tool.
"""

import contextlib
import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from core import tools
from core.cancel import CancelToken
from core.disks.areas import BAD, Areas, mapfile
from core.disks.bytecopy import ByteCopy, Gap, Unreachable, clone, read_back, target_errors
from core.disks.header import Source
from core.disks.model import Disk
from core.disks.naming import (
    Dest,
    Layout,
    give_name,
    keep_metadata,
    layout,
    make_folder,
    manifest,
    put_beside,
    sync_folder,
)
from core.disks.outlook import lacking, require_outside, require_room
from core.disks.rescue import Rescue
from core.disks.unfinished import LEAST, Map, Unfinished, exists, map_of, trusted
from core.errors import Cancelled, SalvageError
from core.files.progress import Meter, Progress
from core.i18n import _
from core.text import quoted, safe, size


@dataclass(frozen=True, slots=True)
class LostMetadata:
    """Something about a file that the target could not keep."""

    path: Path
    what: str

    def to_json(self) -> dict[str, object]:
        return {"path": safe(self.path), "what": self.what}


@dataclass(frozen=True, slots=True)
class BackedUp:
    """A finished backup; it has gaps where `unreadable` lists any."""

    files: int
    bytes: int
    """Sizes of the files, holes included."""
    seconds: float
    manifest: Path
    unreadable: tuple[Gap, ...]
    lost_metadata: tuple[LostMetadata, ...]
    paths: tuple[Path, ...]
    """The copies, the disk's own file first."""
    reflinked: bool
    """The copies share their blocks with the original: made in an instant, but on the same medium."""
    resumed: int = 0
    """Bytes that an earlier run had copied, read back and found whole."""
    notes: tuple[str, ...] = ()
    """What is to be known beside it, as sentences."""

    @property
    def whole(self) -> bool:
        """Every byte was read and everything was kept."""
        return not self.unreadable and not self.lost_metadata

    def to_json(self) -> dict[str, object]:
        """The outcome as `backup --json` prints it; sizes in bytes."""
        return {
            "files": self.files,
            "bytes": self.bytes,
            "seconds": round(self.seconds, 3),
            "manifest": safe(self.manifest),
            "unreadable": [gap.to_json() for gap in self.unreadable],
            "lost_metadata": [lost.to_json() for lost in self.lost_metadata],
            "paths": [safe(path) for path in self.paths],
            "reflinked": self.reflinked,
            "resumed": self.resumed,
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class Still:
    """What is copied stands still only for this one run: it is a snapshot of a disk that is written to."""

    origin: Path
    """The disk."""
    require: Callable[[], None]
    """Raises `SalvageError` where what was read may not be of one moment; asked when all is read."""


class _Copy:
    """One file of the backup on its way."""

    def __init__(self, unfinished: Unfinished, still: Still | None) -> None:
        self.unfinished = unfinished
        self.source = unfinished.source
        self.told = still.origin if still else self.source.path
        """What it is a copy of, for a person."""
        self.before = _state(self.source)
        self.resumed = 0
        self.digest = ""
        self.gaps: list[Gap] = []
        self.areas = Areas()
        self.error = os.strerror(5)
        self.cloned = not unfinished.resumes and clone(self.source, unfinished.medium.fd)
        self._copy: ByteCopy | None = None

    @property
    def needed(self) -> int:
        """Bytes that still have to be found on the target."""
        have = os.fstat(self.unfinished.medium.fd).st_blocks * 512
        return 0 if self.cloned else max(0, self.source.allocated - have)

    @property
    def reached(self) -> int:
        """Bytes that a later run need not copy again."""
        if self._copy:
            return self._copy.reached
        return max((to for to, _digest in self.unfinished.account.reached), default=0)

    def fill(self, cancel: CancelToken, meter: Meter) -> None:
        """Copy it, compare it, and come back for what could not be read."""
        name = os.fsencode(self.source.path.name)
        meter.begin(name, self.source.size)
        if not (self.cloned and self._read_clone(cancel, meter)):
            self._fill(cancel, meter)
        meter.end()

    def _read_clone(self, cancel: CancelToken, meter: Meter) -> bool:
        """Read the shared blocks once: for the checksum, and to know that they can be read."""
        try:
            self.digest = read_back(self.unfinished.medium, self.source.size, cancel, meter)
        except OSError:
            os.ftruncate(self.unfinished.medium.fd, 0)
            self.cloned = False
        return self.cloned

    def _fill(self, cancel: CancelToken, meter: Meter) -> None:
        known, medium = self.unfinished, self.unfinished.medium
        earlier = trusted(known, cancel, meter)
        self.resumed, self.areas = earlier.to, earlier.areas
        copy = self._copy = ByteCopy(self.source, medium, self.areas, cancel, meter)
        copy.go_on_from(earlier.to, earlier.state)
        self.digest = copy.run(self.save)
        self.save()
        if self.areas or earlier.patches:
            rescue = Rescue(self.source, medium, self.areas, cancel, meter)
            saved = 0

            def save() -> None:
                nonlocal saved
                new = [[one.offset, one.length, one.digest] for one in rescue.patches[saved:]]
                known.save(areas=self.areas.to_list(), patches=new)
                saved = len(rescue.patches)

            with target_errors():
                try:
                    rescue.run(save)
                except Cancelled:
                    os.fdatasync(medium.fd)
                    save()
                    raise
                self.digest = read_back(medium, self.source.size, cancel, meter, counted=False)
            path, error = self.told, rescue.error
            self.gaps = [Gap(path, area.start, area.end - area.start, error) for area in self.areas]

    def save(self) -> None:
        """Write down how far it is; the bytes are on the medium."""
        if self._copy and self._copy.reached:
            self.unfinished.save(
                to=self._copy.reached, sha256=self._copy.state.hexdigest(), areas=self.areas.to_list()
            )

    def require_same(self) -> None:
        if _state(self.source) != self.before:
            raise SalvageError(
                _("{path} changed while it was copied.").format(path=safe(self.source.path)),
                _("The copy would hold neither the old nor the new state; it is removed."),
                _("Find out who writes to it, stop that, and try again."),
            )


def backup(
    disk: Disk,
    dest: Dest,
    cancel: CancelToken,
    progress: Callable[[Progress], None],
    still: Still | None = None,
) -> BackedUp:
    """Copy every file of the disk to `dest`, compare what arrived with what was read, and name the copies.

    One file lands at `dest`, or in it where that is a folder; several land in the folder `dest`, made if
    missing, under their own names. What was cut off before goes on. What is promised of the comparison
    says `core.disks.bytecopy`. Raises `Refused` where something is there already or another run is at work,
    `NoSpace` before the first byte where it does not fit, `Cancelled` (it says what is kept for the next
    run, if anything) and `SalvageError` when the disk changes meanwhile or the copy differs. With `still`
    nothing is kept for another run, which would copy another moment.
    """
    began = time.monotonic()
    place = layout(disk, dest)
    require_outside(disk, place.folder)
    copies: list[_Copy] = []
    with ExitStack() as opened:
        shown = disk.path if disk.is_shown else None
        sources = [opened.enter_context(Source(path, is_shown=path == shown)) for path in disk.files]
        made = make_folder(place)
        known = Map(map_of(place.main))
        opened.callback(known.close)
        filling = False
        try:
            for number, (source, path) in enumerate(zip(sources, place.places, strict=True)):
                unfinished = Unfinished(source, path, known, number)
                opened.callback(unfinished.close)
                copies.append(_Copy(unfinished, still))
            _require_free(place, copies)
            require_room(place.folder, sum(copy.needed for copy in copies), [one.size for one in sources])
            filling = True
            meter = Meter(progress, len(copies), sum(source.size for source in sources))
            for copy in copies:
                copy.fill(cancel, meter)
            for copy in copies:
                copy.require_same()
            if still:
                still.require()
            cancel.check()
            lost = _name_all(place, copies)
            known.forget()
            meter.finish()
        except BaseException as error:
            _leave(error, known, copies, place.folder if made else None, filling=filling, still=still)
            raise
    return BackedUp(
        files=len(copies),
        bytes=sum(copy.source.size for copy in copies),
        seconds=time.monotonic() - began,
        manifest=place.manifest,
        unreadable=tuple(gap for copy in copies for gap in copy.gaps),
        lost_metadata=tuple(lost),
        paths=place.places,
        reflinked=all(copy.cloned for copy in copies),
        resumed=sum(copy.resumed for copy in copies),
        notes=(*lacking(disk), *_notes(place, copies, again=not still)),
    )


def _require_free(place: Layout, copies: list[_Copy]) -> None:
    """Raise `Refused` where a list that is to lie beside the copies is there, and is none of ours."""
    if not any(copy.unfinished.named for copy in copies):
        for path in (place.manifest, *map(place.mapfile, place.places)):
            if os.path.lexists(path):
                raise exists(path)


def _state(source: Source) -> tuple[int, ...]:
    status = os.fstat(source.fd)
    if source.is_block_device:
        return ()
    same = (status.st_dev, status.st_ino, status.st_size)
    return same if source.is_shown else (*same, status.st_mtime_ns)


def _name_all(place: Layout, copies: list[_Copy]) -> list[LostMetadata]:
    """Give the copies their names, write the lists beside them; the map is to go only then.

    Whenever this is cut off, the next run finds out which copies have their names already.
    """
    with target_errors():
        lost = [
            LostMetadata(copy.unfinished.place, what)
            for copy in copies
            for what in keep_metadata(copy.source, copy.unfinished.medium.fd)
        ]
        again = any(copy.unfinished.named for copy in copies)
        for copy in copies:
            os.fsync(copy.unfinished.medium.fd)
        for one in (copy.unfinished for copy in copies if not copy.unfinished.named):
            give_name(one.part, one.place)
            one.named = True
        for copy in copies:
            if copy.gaps:
                told = mapfile(copy.areas, copy.source.size).encode()
                put_beside(place.mapfile(copy.unfinished.place), told, again=again)
        lines = manifest((copy.digest, copy.unfinished.place) for copy in copies)
        put_beside(place.manifest, lines, again=again)
        sync_folder(place.folder)
    return lost


def _leave(
    error: BaseException,
    known: Map,
    copies: list[_Copy],
    made: Path | None,
    *,
    filling: bool,
    still: Still | None,
) -> None:
    """Keep for the next run what is worth it, and say so in the error; else remove everything."""
    reached = sum(copy.reached for copy in copies)
    stopped = isinstance(error, Cancelled | Unreachable | KeyboardInterrupt)
    if reached >= LEAST and (not filling or (stopped and not still)):
        with contextlib.suppress(OSError):
            for copy in copies:
                os.fdatasync(copy.unfinished.medium.fd)
                copy.save()
            if isinstance(error, SalvageError):
                _tell_kept(error, known, copies, reached)
            return
    if still and isinstance(error, Cancelled):
        error.meaning = _("What was copied is removed: another run would copy another moment.")
    for copy in copies:
        copy.unfinished.remove()
    known.forget()
    if made:
        with contextlib.suppress(OSError):
            os.rmdir(made)


def _tell_kept(error: SalvageError, known: Map, copies: list[_Copy], reached: int) -> None:
    files = [str(path) for path in (*(copy.unfinished.part for copy in copies), known.path)]
    error.meaning = _("{done} of {total} are copied and compared, and kept for the next time.").format(
        done=size(reached), total=size(sum(copy.source.size for copy in copies))
    )
    error.remedy = _("Started again, it goes on from there. To give the room back: {command}").format(
        command=" ".join(["rm", *map(quoted, files)])
    )


def _notes(place: Layout, copies: list[_Copy], *, again: bool) -> list[str]:
    """What is to be known of the copies; `again`: what could not be read can be tried once more."""
    notes = [copy.unfinished.again for copy in copies if copy.unfinished.again]
    if any(copy.unfinished.resumes and not copy.resumed and not copy.cloned for copy in copies):
        notes.append(_("What an earlier run had copied is not what it was any more: the copy began anew."))
    if any(copy.cloned for copy in copies):
        notes.append(
            _("It shares its blocks with the disk, which took no room: if their medium fails, both are lost.")
        )
    resumed = sum(copy.resumed for copy in copies)
    if resumed:
        notes.append(
            _(
                "An earlier run had copied {size}; that was read back, is whole, and was not copied again."
            ).format(size=size(resumed))
        )
    for copy in copies:
        if not copy.gaps:
            continue
        bad = sum(area.end - area.start for area in copy.areas.having(BAD))
        where = place.mapfile(copy.unfinished.place)
        notes.append(
            _("{size} of {path} could not be read and are zeros in the copy; {map} lists them.").format(
                size=size(bad), path=safe(copy.told), map=safe(where)
            )
        )
        if not again:
            continue
        command = ["ddrescue", "-d", "-r3", str(copy.source.path), str(copy.unfinished.place), str(where)]
        further = (
            _("ddrescue can try further, after which the checksum is another: {command}")
            if tools.find("ddrescue")
            else _("ddrescue, once it is installed, can try further: {command}")
        )
        notes.append(further.format(command=" ".join(map(quoted, command))))
    return notes
