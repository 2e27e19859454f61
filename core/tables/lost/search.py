"""The search for lost partitions: the disk is swept for superblocks, and each is looked at closely."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from core.cancel import CancelToken
from core.errors import SalvageError
from core.i18n import _
from core.tables.gpt import SIGNATURE
from core.tables.lost import boot, ext, layers, plain, remains, trees
from core.tables.lost.candidate import Candidate, Read, Remain, Sign
from core.tables.lost.medium import SECTOR, Medium
from core.tables.lost.rivals import Rejected, contest
from core.tables.lost.sweep import Looker, Magic, sweep
from core.tables.sectors import opened
from core.tables.types import PROTECTIVE
from core.text import size as told_size

MOST = 4096
"""Candidates, and entries of former tables, that are kept; a hostile disk may be full of superblocks."""
PATIENCE = 60.0
"""Seconds spent on looking closely at one magic number; a hostile disk may make each look long."""
_INTERVAL = 0.1
"""Seconds between two reports."""
_ORDINARY = 500e6
"""Bytes a second that a disk is said to read where nothing is known about it."""

Recogniser = Callable[[Read, int, int], Iterator[Sign]]

_KNOWN: tuple[tuple[Magic, tuple[Recogniser, ...]], ...] = (
    (Magic(56, b"\x53\xef"), (ext.recognise,)),
    (Magic(0, b"XFSB"), (trees.recognise_xfs,)),
    (Magic(64, b"_BHRfS_M"), (trees.recognise_btrfs,)),
    (Magic(510, b"\x55\xaa"), (boot.recognise, remains.recognise_ebr)),
    (Magic(0, b"LABELONE"), (layers.recognise_lvm,)),
    (Magic(0, b"LUKS\xba\xbe"), (layers.recognise_luks,)),
    (Magic(0, b"SKUL\xba\xbe"), (layers.recognise_luks,)),
    (Magic(0, b"\xfc\x4e\x2b\xa9"), (layers.recognise_md,)),
    (Magic(502, b"SWAPSPACE2"), (plain.recognise_swap,)),
    (Magic(0, b"hsqs"), (plain.recognise_squashfs,)),
    (Magic(0, b"\xe2\xe1\xf5\xe0"), (plain.recognise_erofs,)),
    (Magic(0, b"\x01CD001\x01"), (plain.recognise_iso,)),
    (Magic(0, b"EFI PART"), (remains.recognise_gpt,)),
)
"""What is looked for at which byte of a sector, and who judges it."""


@dataclass(frozen=True, slots=True)
class Searching:
    """How far a search is. Sizes in bytes."""

    done: int
    """What lies behind us, holes included."""
    total: int
    read: int
    rate: float
    """Bytes read a second since the start."""
    seconds_left: float | None
    found: tuple[Candidate, ...]
    """What was found so far and can be believed; more may come, and some of it may turn out a copy."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found on a disk of `size` bytes."""

    size: int
    chosen: tuple[Candidate, ...]
    """What fits together, in the order of the disk."""
    rejected: tuple[Rejected, ...]
    remains: tuple[Remain, ...]
    gpt: bool
    """Whether the disk seems to have had a GPT: an MBR that announces one, or a damaged header."""
    read: int
    """Bytes that were read; the rest of the disk are holes."""
    unreadable: int
    seconds: float
    problems: tuple[str, ...] = ()
    done: int = -1
    """What lay behind the search when it ended, holes included; less than `size` if it was cut short."""

    @property
    def complete(self) -> bool:
        """Whether the whole disk was searched."""
        return self.done in (-1, self.size)


def seconds_about(data: int) -> float:
    """How long a search through `data` bytes takes about, on a disk of ordinary speed."""
    return max(1.0, data / _ORDINARY)


def search(
    view: Path,
    cancel: CancelToken,
    progress: Callable[[Searching], None] | None = None,
    enough: Callable[[], bool] = lambda: False,
) -> Found:
    """Search the disk that `view` shows raw, a file or a block device, for lost partitions.

    `view` is only read. As soon as it is `enough`, what was found so far is judged. Raises `SalvageError`
    when it cannot be read at all, `Cancelled`.
    """
    fd = opened(view)
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        medium = Medium(fd, os.lseek(fd, 0, os.SEEK_END))
        return _searched(medium, cancel, progress, enough)
    except OSError as error:
        raise SalvageError(
            _("The disk could not be searched to its end: {reason}.").format(
                reason=os.strerror(error.errno or 0)
            ),
            _("It was only read."),
            _("Look at the medium; `virt-salvage backup` saves what can be read of it."),
        ) from error
    finally:
        os.close(fd)


def _searched(
    medium: Medium,
    cancel: CancelToken,
    progress: Callable[[Searching], None] | None,
    enough: Callable[[], bool],
) -> Found:
    began = last = time.monotonic()
    finds = _Finds(medium)
    read = done = 0
    with closing(sweep(medium, Looker([magic for magic, _judges in _KNOWN]), cancel)) as steps:
        for step in steps:
            read, done = step.read, step.place
            for place, which in step.hits:
                cancel.check()
                finds.look(place, which)
            now = time.monotonic()
            if progress and (now - last >= _INTERVAL or step.place == medium.size):
                last = now
                progress(_report(medium, finds, step.place, read, now - began))
            if enough():
                break
    chosen, rejected = contest(medium.read, finds.credible(), finds.remains, medium.size)
    return Found(
        medium.size,
        chosen,
        rejected,
        tuple(sorted(finds.remains, key=lambda one: (one.start, one.record))),
        _had_gpt(medium),
        read,
        medium.unreadable,
        time.monotonic() - began,
        (*_cut_short(done, medium.size), *finds.problems()),
        done,
    )


def _cut_short(done: int, size: int) -> Iterator[str]:
    if done < size:
        yield _("The search was stopped after {done} of {size}: what lies behind was not looked for.").format(
            done=told_size(done), size=told_size(size)
        )


def _had_gpt(medium: Medium) -> bool:
    head, tail = medium.read(0, 2 * SECTOR), medium.read(medium.size - SECTOR, SECTOR)
    codes = head[450:510:16] if head[510:SECTOR] == b"\x55\xaa" else b""
    return PROTECTIVE in codes or head[SECTOR:].startswith(SIGNATURE) or tail.startswith(SIGNATURE)


def _report(medium: Medium, finds: "_Finds", done: int, read: int, passed: float) -> Searching:
    speed = done / passed if passed > 0 else 0.0
    left = (medium.size - done) / speed if speed else None
    return Searching(done, medium.size, read, read / passed if passed else 0.0, left, finds.credible())


class _Finds:
    """The candidates and remains so far, each once."""

    def __init__(self, medium: Medium) -> None:
        self._medium = medium
        self._candidates: dict[tuple[str, int, int, str | None], Candidate] = {}
        self.remains: list[Remain] = []
        self._left_out = 0
        self._spent = [0.0] * len(_KNOWN)

    def look(self, place: int, which: int) -> None:
        """Judge the sector at byte `place`, which carries the magic of that number."""
        if self._spent[which] > PATIENCE:
            return
        began = time.monotonic()
        for recognise in _KNOWN[which][1]:
            for sign in recognise(self._medium.read, place, self._medium.size):
                self._keep(sign)
        self._spent[which] += time.monotonic() - began

    def _keep(self, sign: Sign) -> None:
        if isinstance(sign, Remain):
            if len(self.remains) < MOST:
                self.remains.append(sign)
            return
        known = self._candidates.get(sign.key)
        if known:
            self._candidates[sign.key] = known.joined(sign)
        elif len(self._candidates) < MOST:
            self._candidates[sign.key] = sign
        else:
            self._left_out += 1

    def credible(self) -> tuple[Candidate, ...]:
        """What more than one chance value speaks for, in the order of the disk."""
        believed = [one for one in self._candidates.values() if one.credible]
        return tuple(sorted(believed, key=lambda one: (one.start, one.end)))

    def problems(self) -> Iterator[str]:
        if self._left_out:
            yield _("There are more superblocks than are kept; {count} were left out.").format(
                count=self._left_out
            )
        if max(self._spent) > PATIENCE:
            yield _("There are so many superblocks of one kind that the last of them were not looked at.")
        if self._medium.unreadable:
            yield _("{size} of the disk could not be read; what lay there was not found.").format(
                size=told_size(self._medium.unreadable)
            )
