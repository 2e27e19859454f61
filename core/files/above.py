"""The guest's folders above what is copied, where its whole paths are kept."""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

from core.files.trail import LIST
from core.files.tree import GuestTree


@dataclass(frozen=True, slots=True)
class Folder:
    """One of them, made in the target as the guest's is, with nothing else that is in that."""

    name: bytes
    path: bytes
    status: os.stat_result
    fd: int | None
    """The guest's folder; None where it cannot be opened."""


class Above:
    """Goes up and down between them. A context manager: at its end, all are left.

    Sources that come in the order of a walk enter each folder once.
    """

    def __init__(
        self, tree: GuestTree, enter: Callable[[Folder], bool], leave: Callable[[Folder], None]
    ) -> None:
        """`enter` tells whether the target's folder could be entered."""
        self._tree = tree
        self._enter, self._leave = enter, leave
        self._stack: list[Folder] = []
        self._refused = b""

    def __enter__(self) -> "Above":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._up(0)
        while self._stack:
            _close(self._stack.pop())

    def go(self, names: Sequence[bytes]) -> bool:
        """To the folder with these names from the top down; False where one of them is refused."""
        same = 0
        for folder, name in zip(self._stack, names, strict=False):
            if folder.name != name:
                break
            same += 1
        self._up(same)
        return all(self._down(name) for name in names[same:])

    def _up(self, height: int) -> None:
        while len(self._stack) > height:
            self._leave(self._stack[-1])
            _close(self._stack.pop())

    def _down(self, name: bytes) -> bool:
        path = b"/" + b"/".join([*(one.name for one in self._stack), name])
        if path == self._refused:  # told already
            return False
        with self._tree.resolve(path) as place:
            fd: int | None = None
            with suppress(OSError):
                fd = place.open(LIST)
            folder = Folder(name, path, place.status, fd)
        if not self._enter(folder):
            self._refused = path
            _close(folder)
            return False
        self._stack.append(folder)
        return True


def _close(folder: Folder) -> None:
    if folder.fd is not None:
        os.close(folder.fd)
