"""Has a target write out what was copied while the rest is copied, so that the flush at the end is short.

By itself the kernel leaves data in memory for half a minute (dirty_expire_centisecs of proc_sys_vm(5)), and a
slow medium would then work for minutes when all seems to be done.
"""

import os
import threading
from contextlib import suppress
from typing import Self

from core import namespace
from core.files.kernel import flush

_PAUSE = 2.0
"""Seconds between two times: short enough that little is left, long enough that small files go together."""
_MOMENT = 0.5
"""Seconds that the end of a copy waits for it at most where that did not come to its own end."""


class WriteOut:
    """A context manager for the file system of an open folder.

    It has a descriptor of its own: an error in writing is told once for each (syncfs(2)), and the flush at
    the end is to meet it.
    """

    def __init__(self, directory: int) -> None:
        self._descriptor = os.open(f"/proc/self/fd/{directory}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        self._over.set()
        # Who cancels does not wait for a slow medium; the descriptor is closed when that has answered.
        self._thread.join(None if kind is None else _MOMENT)

    def _go(self) -> None:
        namespace.apart()
        try:
            while not self._over.wait(_PAUSE):
                with suppress(OSError):
                    flush(self._descriptor)
        finally:
            os.close(self._descriptor)
