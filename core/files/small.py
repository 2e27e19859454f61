"""The small files of folders that are new in the target: a second process brings them beside this one.

Only what comes without a word goes that way. A file that is to be told of in any way is left by that
process as if it had not been there, and brought here when the walk is over.
"""

import os
from collections.abc import Callable
from functools import partial

from core.cancel import CancelToken
from core.files.abilities import Abilities
from core.files.choices import Choices
from core.files.content import CHUNK
from core.files.handing import Given, Handing
from core.files.late import Late
from core.files.manifest import Manifest
from core.files.progress import Meter
from core.files.resume import Identity, Resume, identity
from core.files.tally import BROKEN, FULL, Tally
from core.files.target import Target
from core.i18n import _

WORTH = 1000
"""Files of a copy for which a second process is started: that takes as long as a few hundred small files."""
_MOST_LEFT = 256
"""Where so many files had to be left, no more are handed on: they are brought twice as slowly."""
_SECTOR = 512  # the unit of st_blocks, see inode(7)


class Small:
    """Hands files on, and puts down what was brought in the order of the walk. A context manager."""

    def __init__(
        self,
        target: Target,
        manifest: Manifest,
        tally: Tally,
        meter: Meter,
        resume: Resume,
        cancel: CancelToken,
    ) -> None:
        self._target = target
        self._manifest = manifest
        self._tally = tally
        self._meter = meter
        self._resume = resume
        self._handing = Handing(cancel, self._brought, self._left)
        self.left: list[Late] = []
        """Files that were handed on and not brought."""

    def __enter__(self) -> "Small":
        return self

    def __exit__(self, *_error: object) -> None:
        self._handing.close()

    def start(self, able: Abilities, choices: Choices) -> None:
        """Begin to hand files on, if the target keeps all they have and the disk is not known to be bad."""
        if self._target.nameless and not able.missing() and not choices.bad:
            self._handing.start(choices.privileges, able.shares_blocks)

    @property
    def works(self) -> bool:
        """The small files of the folder in which the target stands are handed on."""
        return self._target.plain and self._handing.is_ready and len(self.left) < _MOST_LEFT

    def wants(self, status: os.stat_result) -> bool:
        """Whether a file of the folder in which the target stands is to be handed on, by `give`."""
        return (
            self.works
            and status.st_nlink == 1
            and status.st_size <= CHUNK
            and status.st_blocks * _SECTOR >= status.st_size
            and self._handing.has_room()
        )

    def give(self, fd: int, status: os.stat_result, path: bytes, onto: bytes) -> None:
        """Hand on the open file, which is closed here. Raises what `finish` raises."""
        target = self._target
        self._handing.give(fd, Given(path, target.path(onto), target.names, onto, status), target.here)

    def before_other(self) -> None:
        """The target is about to go into another folder. Raises what `finish` raises."""
        self._handing.send()

    def after(self, work: Callable[..., None], *fds: int) -> None:
        """Do `work` with copies of the descriptors when all that was handed on until now is there."""
        self._handing.after(work, *fds)

    def enlist(self, path: bytes, there: bytes, digest: str, same: tuple[Identity, Identity] | None) -> None:
        """A file is in its place, `there` below the folder; `same` tells of it and of its copy.

        In its turn it gets a line in the manifest and, with `same`, one in the journal.
        """
        self.after(partial(self._enlist, path, there, digest, same))

    def finish(self) -> None:
        """Wait for all that was handed on. Raises `Cancelled`, `NoSpace` and other `SalvageError`."""
        self._handing.finish()

    def _enlist(self, path: bytes, there: bytes, digest: str, same: tuple[Identity, Identity] | None) -> None:
        try:
            if not self._manifest.add(there, digest):
                self._tally.note(
                    path, [_("Its checksum is not in the manifest: the path is too long for sha256sum.")]
                )
            if same:
                self._resume.note(path, digest, *same)
        except OSError as error:
            self._tally.unwritten(path, error)

    def _brought(self, given: Given, digest: str, copy: Identity) -> None:
        status = given.status
        self._tally.files += 1
        self._tally.bytes += status.st_size
        self._tally.own(status)
        self._meter.begin(given.path, status.st_size)
        self._meter.add(status.st_size)
        self._meter.end()
        self._enlist(given.path, given.there, digest, (identity(status), copy))

    def _left(self, given: Given, code: int) -> None:
        if code in FULL | BROKEN:
            raise self._tally.stopped(OSError(code, os.strerror(code)))
        self.left.append(Late(given.path, given.folder, given.onto))
