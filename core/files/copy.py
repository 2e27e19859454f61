"""Copies files and trees of a guest to a folder of the host, with checksums."""

import errno
import os
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from core.cancel import CancelToken
from core.files.abilities import probe
from core.files.above import Above
from core.files.bringing import Bringing
from core.files.choices import CAUTIOUS, Choices
from core.files.clash import Clashes
from core.files.content import PATIENCE, ReadAt, read_at
from core.files.estimate import Estimate, estimate
from core.files.inodeflags import NONE, flags_of, set_flags
from core.files.kernel import flush
from core.files.landing import Landing, Taken
from core.files.late import Late, bring_late
from core.files.manifest import Manifest
from core.files.means import Means
from core.files.metadata import keep
from core.files.naming import Names
from core.files.outcome import Copied
from core.files.prefetch import Prefetch
from core.files.progress import Listener, Meter
from core.files.resume import Resume
from core.files.sharing import Sharing
from core.files.sidecar import Sidecar
from core.files.small import WORTH, Small
from core.files.sources import Road, require_room, roads_of
from core.files.tally import Tally, flags_told
from core.files.target import Target, open_target
from core.files.trail import SEARCH, descend
from core.files.tree import OPEN_FILE, GuestTree
from core.files.unread import reason
from core.files.verify import Pace, Verified, read_back
from core.files.walk import Step, Walk, walking
from core.files.writeout import WriteOut
from core.i18n import _, enumerated, ngettext
from core.text import grouped, safe


def copy(
    tree: GuestTree,
    sources: Sequence[bytes],
    dest: Path,
    cancel: CancelToken,
    progress: Listener,
    expected: Estimate | None = None,
    read: ReadAt = read_at,
    choices: Choices = CAUTIOUS,
) -> Copied:
    """Copy `sources` of the guest into the folder `dest`, each under its own name.

    ``/`` and a source that ends in a slash put their contents there; with `Choices.paths`, each comes under
    the guest's whole path. `dest` is made with mode 0700
    where it is missing. What is there already with the same content counts as copied, so the same call
    goes on where an earlier one was cut off; `choices` says what becomes of other content. Nothing of the
    guest stops the copy: see `Copied.unreadable` and `Copied.lost_metadata`.

    `expected` saves counting the sources again. `read` reads the guest's files, and of small ones those that
    a second process could not read.
    Raises `NoSpace`, `Cancelled`, `WrongUsage`, `Refused` and other `SalvageError`.
    """
    began = time.monotonic()
    PATIENCE.helped()
    with ExitStack() as stack:
        roads = roads_of(tree, sources, stack, whole=choices.paths)
        once = [road.place.path for road in roads] if choices.paths else sources
        expected = expected or estimate(tree, once, cancel)
        require_room(roads, dest, expected, cancel)
        root = open_target(dest)
        stack.callback(os.close, root)
        meter = Meter(progress, expected.files, expected.apparent, expected.bare)
        try:
            target = Target(root)
            stack.callback(target.close)
            sidecar = Sidecar(target)
            tally = Tally(dest, meter, sidecar)
            able = probe(root)
            resume = Resume(target, choices)
            stack.callback(resume.abandon)
            manifest = Manifest(target)
            target.clean()
        except OSError as error:
            raise Tally(dest, meter, sidecar).stopped(error) from error
        if sentence := able.sentence(dest):
            choices.tell(sentence)
        prefetch = stack.enter_context(Prefetch())
        stack.enter_context(WriteOut(root))
        small = stack.enter_context(Small(target, manifest, tally, meter, resume, cancel))
        if expected.files >= WORTH:
            small.start(able, choices)
        means = Means(
            tree, target, able, choices, cancel, meter, tally, manifest, sidecar, resume, prefetch, small
        )
        return _Copy(means, read).run(roads, dest, began)


class _Copy:
    """One run of `copy`: what it has met so far and where it stands."""

    def __init__(self, means: Means, read: ReadAt) -> None:
        self._tree = means.tree
        self._small = means.small
        self._prefetch = means.prefetch
        self._resume = means.resume
        self._target = target = means.target
        self._cancel = means.cancel
        self._meter = means.meter
        self._choices = means.choices
        self._manifest = means.manifest
        self._sidecar = means.sidecar
        self._tally = means.tally
        sharing = Sharing(target.root) if means.able.shares_blocks else None
        landing = Landing(target, read, means.choices.privileges, sharing)
        self._clashes = Clashes(target, means.choices)
        self._names = Names(means.able)
        self._bringing = Bringing(means, landing, self._clashes)

    # -- the way through ------------------------------------------------------------------------

    def run(self, roads: Sequence[Road], dest: Path, began: float) -> Copied:
        try:
            with Above(
                self._tree,
                lambda one: self._enter(one.name, one.path, one.status),
                lambda one: self._leave(one.fd, one.status, one.path),
            ) as above:
                for road in roads:
                    if above.go(road.above):
                        self._source(road)
            self._small.finish()
            self._bring_late(self._small.left, late=False)
            self._late_ones()
            self._set_flags()
            manifest, sidecar, verified = self._finished(began)
        except BaseException:
            self._manifest.abandon()
            self._sidecar.abandon()
            raise
        self._meter.finish()
        return replace(
            self._tally.outcome(self._tree, began, dest / os.fsdecode(manifest), verified),
            sidecar=dest / os.fsdecode(sidecar) if sidecar else None,
            replaced=self._clashes.replaced,
            kept_both=self._clashes.kept_both,
        )

    def _finished(self, began: float) -> tuple[bytes, bytes | None, Verified]:
        self._cancel.check()
        try:
            flush(self._target.root)
            took = time.monotonic() - began
            with self._manifest.so_far() as lines:
                pace = Pace(took, self._tally.bytes)
                wish, samples = self._choices.verify, self._bringing.samples
                verified = read_back(self._target.root, lines, wish, pace, samples, self._breathe)
            self._take_away(verified.wrong)
            name = self._manifest.finish()
            sidecar = self._sidecar.finish(self._manifest.top)
            self._resume.finish()
            flush(self._target.root)
        except OSError as error:
            raise self._tally.stopped(error) from error
        return name, sidecar, verified

    def _take_away(self, wrong: Sequence[bytes]) -> None:
        """A copy that is not what was written is none: the next run makes it anew."""
        for path in wrong:
            above, _slash, name = path.rpartition(b"/")
            with suppress(OSError):
                folder = descend(self._target.root, above, SEARCH)
                try:
                    os.unlink(name, dir_fd=folder)
                finally:
                    os.close(folder)
            self._tally.failed(
                b"/" + path,
                _(
                    "What the target gave back is not what was written to it; the copy was removed. "
                    "Do not trust this target: its medium or its memory is failing."
                ),
                "unwritten",
            )

    def _breathe(self) -> None:
        self._cancel.check()
        self._meter.add(0)

    def _source(self, road: Road) -> None:
        place = road.place
        if place.kind != "dir":
            onto = self._names.fit(road.name or place.name)
            if self._target.at_top:
                self._sidecar.top(onto)
            self._bringing.bring(Step.OTHER, place.parent, place.name, place.path, onto)
            return
        with walking(place, self._tally.failed, {self._target.identity}, self._prefetch) as walk:
            if walk is None:
                return
            if road.name is None:
                self._contents(walk)
                return
            status = os.fstat(walk.trail.fd)
            if self._enter(road.name, place.path, status):
                self._contents(walk)
                self._leave(walk.trail.fd, status, place.path)

    def _contents(self, walk: Walk) -> None:
        for step, name, status in walk.steps():
            self._cancel.check()
            path = walk.prefix + name
            if step is Step.ENTER and status is not None:
                if not self._enter(name, path, status):
                    walk.skip()
            elif step is Step.LEAVE and status is not None:
                path = walk.prefix[:-1] if walk.opened else path
                self._leave(self._stand(walk, path) if walk.opened else None, status, path)
            else:
                parent = self._stand(walk, path)
                if parent is not None:
                    onto = self._names.fit(name)
                    if self._target.at_top:
                        self._sidecar.top(onto)
                    self._bringing.bring(step, parent, name, path, onto)

    def _stand(self, walk: Walk, path: bytes) -> int | None:
        """The guest's directory that the walk stands in; None, and told, when it is out of reach."""
        try:
            return walk.trail.fd
        except OSError as error:
            self._tally.failed(path, reason(error))
            return None

    def _late_ones(self) -> None:
        """The files at and beside bad places, now that all others are there."""
        waiting = self._bringing.late
        if not waiting:
            return
        self._choices.tell(
            ngettext(
                "{count} file lies at or beside a bad place of the disk and is copied last: {paths}",
                "{count} files lie at or beside bad places of the disk and are copied last: {paths}",
                len(waiting),
            ).format(count=grouped(len(waiting)), paths=enumerated(safe(late.path) for late in waiting[:5]))
        )
        flush(self._target.root)
        self._bring_late(waiting, late=True)

    def _bring_late(self, waiting: Sequence[Late], late: bool) -> None:
        def bring(parent: int, name: bytes, one: Late) -> None:
            self._bringing.file(parent, name, one.path, one.onto, late)

        bring_late(self._tree, self._target, self._tally, self._cancel, waiting, bring)

    # -- folders --------------------------------------------------------------------------------

    def _enter(self, name: bytes, path: bytes, status: os.stat_result) -> bool:
        onto = self._names.fit(name)
        if self._target.at_top:
            self._sidecar.top(onto)
        self._small.before_other()
        try:
            self._clashes.bring(path, onto, status, self._into)
        except Taken:
            self._tally.taken(path)
            return False
        except OSError as error:
            self._tally.unwritten(path, error)
            return False
        self._prefetch.apart = self._small.works
        self._names.down()
        self._tally.directories += 1
        return True

    def _into(self, onto: bytes, replace: bool) -> None:
        if replace:
            os.unlink(onto, dir_fd=self._target.here)
        try:
            self._target.enter(onto)
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.ELOOP, errno.EEXIST):
                raise Taken from error
            raise

    def _leave(self, source: int | None, status: os.stat_result, path: bytes) -> None:
        there = b"/".join(self._target.names)
        try:
            handles = [self._target.here] if source is None else [self._target.here, source]
            self._small.after(partial(self._keep, path, there, status), *handles)
        except OSError as error:
            self._tally.unwritten(path, error)
        self._target.leave()
        self._names.up()

    def _keep(
        self, path: bytes, there: bytes, status: os.stat_result, target: int, source: int | None = None
    ) -> None:
        """All that is in a folder is there."""
        name = path.rpartition(b"/")[2]
        try:
            lost = keep(source, target, status, privileges=self._choices.privileges)
            flags = flags_of(source) if source is not None else NONE
            self._bringing.note(path, there, status, source, lost, flags, name)
        except OSError as error:
            self._tally.unwritten(path, error)

    def _set_flags(self) -> None:
        """Last of all, because nobody can change a file any more that has them."""
        for path, there, flags in self._bringing.flagged:
            above, _slash, name = there.rpartition(b"/")
            try:
                folder = descend(self._target.root, above, SEARCH)
                try:
                    fd = os.open(name, OPEN_FILE, dir_fd=folder)
                finally:
                    os.close(folder)
                try:
                    done = set_flags(fd, flags)
                    status = os.fstat(fd)
                finally:
                    os.close(fd)
                if not done:
                    self._tally.lose(path, there, status, None, flags_told(flags), flags=flags)
            except OSError as error:
                self._tally.unwritten(path, error)
