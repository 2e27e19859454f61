"""The fast pass over a disk: which sectors carry one of the magic numbers.

Superblocks begin at sectors, so of each sector a few bytes tell. A slice with the step of a sector
takes one byte of each of 2048 sectors at once, a translation turns it into a mask of the magic numbers
that it fits, and one AND of two such masks, as long integers, says that no sector fits: five pairs of
slices look through a mebibyte in some thirty microseconds, without a loop over sectors.

Two threads take turns: while one reads, which lets go of the interpreter, the other looks.
"""

import queue
import threading
from collections.abc import Generator, Sequence
from dataclasses import dataclass

from core.cancel import CancelToken
from core.tables.lost.medium import SECTOR, STEP, Medium

_THREADS = 2
_WAITING = 16
"""Blocks with hits that wait to be looked at closely; a disk full of them may not fill the memory."""
_GLANCE = 0.1
"""Seconds between two looks at how far it is."""


@dataclass(frozen=True, slots=True)
class Magic:
    """Bytes that stand at `offset` of a sector; the first two are searched for."""

    offset: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Pass:
    """How far the sweep is: hits since the last report, as places of sectors with the magic's number."""

    hits: tuple[tuple[int, int], ...]
    place: int
    """Bytes of the disk that lie behind us."""
    read: int
    """Bytes that were read; the rest were holes."""


class _Mask:
    """The two translations for all magic numbers at one place of the sector."""

    def __init__(self, offset: int, magics: Sequence[Magic]) -> None:
        first, second = bytearray(256), bytearray(256)
        pairs = dict.fromkeys(magic.value[:2] for magic in magics)
        for number, pair in enumerate(pairs):
            # a byte has eight bits; two pairs on one bit only mean a few more sectors to look at
            first[pair[0]] |= 1 << number % 8
            second[pair[1]] |= 1 << number % 8
        self.offset, self.first, self.second = offset, bytes(first), bytes(second)

    def fitting(self, block: bytearray) -> int:
        """A number whose byte N is not zero if sector N fits."""
        first = block[self.offset :: SECTOR].translate(self.first)
        second = block[self.offset + 1 :: SECTOR].translate(self.second)
        return int.from_bytes(first, "little") & int.from_bytes(second, "little")


class Looker:
    """Finds the sectors of a block that carry one of `magics`."""

    def __init__(self, magics: Sequence[Magic]) -> None:
        self._magics = tuple(magics)
        places = dict.fromkeys(magic.offset for magic in magics)
        self._masks = [_Mask(at, [one for one in magics if one.offset == at]) for at in places]

    def hits(self, block: bytearray) -> list[tuple[int, int]]:
        """Offsets of sectors in the block, each with the number of the magic that it carries."""
        fitting = 0
        for mask in self._masks:
            fitting |= mask.fitting(block)
        if not fitting:
            return []
        found = []
        sectors = fitting.to_bytes(len(block) // SECTOR, "little")
        for number, fits in enumerate(sectors):
            if fits:
                place = number * SECTOR
                for which, magic in enumerate(self._magics):
                    if block.startswith(magic.value, place + magic.offset):
                        found.append((place, which))
        return found


class _Crew:
    """The threads of one sweep and what they share."""

    def __init__(self, medium: Medium, looker: Looker) -> None:
        self.results: queue.Queue[list[tuple[int, int]] | OSError] = queue.Queue(_WAITING)
        self.stop = threading.Event()
        self.place = self.read = 0
        self._medium, self._looker = medium, looker
        self._blocks = medium.blocks()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _number in range(_THREADS)]
        for thread in self._threads:
            thread.start()

    @property
    def working(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def _work(self) -> None:
        block = bytearray(STEP)
        try:
            while not self.stop.is_set():
                with self._lock:
                    place, length = next(self._blocks, (0, 0))
                if not length:
                    self._hand_over([])  # so that nobody waits for us
                    return
                if length != len(block):
                    block = bytearray(length)
                self._medium.fill(block, place, length)
                hits = self._looker.hits(block)
                self.place, self.read = max(self.place, place), self.read + length
                if hits:
                    self._hand_over([(place + offset, which) for offset, which in hits])
        except OSError as error:  # raised again by the thread that waits for the results
            self._hand_over(error)

    def _hand_over(self, result: list[tuple[int, int]] | OSError) -> None:
        while not self.stop.is_set():
            try:
                self.results.put(result, timeout=_GLANCE)
                return
            except queue.Full:
                continue

    def end(self) -> None:
        self.stop.set()
        for thread in self._threads:
            thread.join()


def sweep(medium: Medium, looker: Looker, cancel: CancelToken) -> Generator[Pass, None, None]:
    """Everything on the disk that carries a magic number, block by block, not in the order of the disk.

    Reports at least ten times a second. Raises `Cancelled`, and OSError when the disk is gone.
    """
    crew = _Crew(medium, looker)
    try:
        while crew.working or not crew.results.empty():
            cancel.check()
            try:
                result = crew.results.get(timeout=_GLANCE)
            except queue.Empty:
                yield Pass((), crew.place, crew.read)
                continue
            if isinstance(result, OSError):
                raise result
            yield Pass(tuple(result), crew.place, crew.read)
    finally:
        crew.end()
    yield Pass((), medium.size, crew.read)
