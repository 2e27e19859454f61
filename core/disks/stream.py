"""Pieces of a file on their way: read here, hashed there, written and compared beside both.

The lock of the interpreter is let go by reads, writes, SHA-256 and memcmp, so four threads keep the
medium and two cores busy. Every piece is read once and hashed once.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, Self

from core.disks.medium import CHUNK, ZEROS, Buffer
from core.errors import SalvageError

_DEPTH = 8
"""Pieces that are on their way at most, and so the memory that it takes."""
_WRITERS = 2
_LONGEST = 8
"""Zeros of as many chunks are hashed in one go."""


class Hash(Protocol):
    """What hashlib gives."""

    def update(self, data: memoryview, /) -> None: ...
    def copy(self) -> Self: ...
    def hexdigest(self) -> str: ...


Work = Callable[[Buffer, int, int], object]
"""What is done beside the hashing with a buffer, its offset and its count of bytes."""


@dataclass(frozen=True, slots=True)
class Reached:
    """One piece is done, and so is everything before it."""

    offset: int
    count: int
    state: Hash
    """SHA-256 of all up to the end of this piece; not to be changed."""
    result: object
    """What the work said; None for a hole."""

    @property
    def end(self) -> int:
        return self.offset + self.count


@dataclass(slots=True)
class _Piece:
    offset: int
    count: int
    buffer: Buffer | None
    hashed: "Future[Hash]"
    worked: "Future[object] | None"

    def wait(self) -> Reached:
        result = self.worked.result() if self.worked else None
        return Reached(self.offset, self.count, self.hashed.result(), result)


def stream(
    pieces: Iterable[tuple[int, int, bool]],
    read: Callable[[Buffer, int, int], None],
    work: Work | None,
    begin: Hash,
    check: Callable[[], None],
) -> Generator[Reached, None, None]:
    """Read and hash the stretches `(start, end, is data)` in order, and let `work` have each data piece.

    `check` and `read(buffer, offset, count)` are called before each piece in this thread; what they raise is
    raised here once the pieces before it are done. `work` is called in others, in no order. Memory stays
    bounded, and nothing runs any more when the generator is closed.
    """
    hasher = ThreadPoolExecutor(1, "sha256")
    writers = ThreadPoolExecutor(_WRITERS, "write")
    state = begin.copy()
    waiting: deque[_Piece] = deque()
    spare: list[Buffer] = []

    def update(data: memoryview, count: int) -> Hash:
        for at in range(0, count, len(data)):
            state.update(data[: min(len(data), count - at)])
        return state.copy()

    def oldest() -> Reached:
        piece = waiting.popleft()
        reached = piece.wait()
        if piece.buffer:
            spare.append(piece.buffer)
        return reached

    failed: BaseException | None = None
    try:
        for offset, count, is_data in _cut(pieces):
            while len(waiting) >= _DEPTH or (waiting and _ready(waiting[0])):
                yield oldest()
            buffer = (spare.pop() if spare else Buffer()) if is_data else None
            try:
                check()
                if buffer:
                    read(buffer, offset, count)
            except (SalvageError, OSError) as error:
                failed = error
                break
            hashed = hasher.submit(update, buffer.view[:count] if buffer else ZEROS.view, count)
            worked = writers.submit(work, buffer, offset, count) if work and buffer else None
            waiting.append(_Piece(offset, count, buffer, hashed, worked))
        while waiting:
            yield oldest()
        if failed:
            raise failed
    finally:
        for pool in (hasher, writers):
            pool.shutdown(wait=True, cancel_futures=True)


def _ready(piece: _Piece) -> bool:
    return piece.hashed.done() and (piece.worked is None or piece.worked.done())


def _cut(pieces: Iterable[tuple[int, int, bool]]) -> Iterator[tuple[int, int, bool]]:
    for start, end, is_data in pieces:
        step = CHUNK if is_data else _LONGEST * CHUNK
        for at in range(start, end, step):
            yield at, min(step, end - at), is_data
