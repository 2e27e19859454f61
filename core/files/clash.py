"""What becomes of an entry whose name something else bears in the target."""

import os
import stat
from collections.abc import Callable
from itertools import count
from typing import TypeVar

from core.files.choices import Choices, Clash, Existing
from core.files.entry import Entry
from core.files.landing import Taken
from core.files.naming import numbered
from core.files.target import Target

T = TypeVar("T")
_MOST = 1000
"""Numbers that are tried for a second thing of one name."""


class Clashes:
    """Asks what is to be done, and does it."""

    def __init__(self, target: Target, choices: Choices) -> None:
        self._target = target
        self._choices = choices
        self.replaced = 0
        self.kept_both = 0

    def bring(
        self, path: bytes, onto: bytes, status: os.stat_result, make: Callable[[bytes, bool], T]
    ) -> tuple[T, bytes]:
        """What `make` brings, and the name it got. `make` gets a name and whether to replace what is there.

        Raises `Taken` when what is there stays alone, and whatever `make` raises.
        """
        try:
            return make(onto, False), onto
        except Taken as taken:
            there = os.stat(onto, dir_fd=self._target.here, follow_symlinks=False)
            lacks = taken.lacks
        if stat.S_ISDIR(there.st_mode):
            wish: Existing = self._wish(path, onto, status, there)
            wish = "leave" if wish == "replace" else wish
        elif lacks or self._is_torn(status, there):
            return make(onto, True), onto
        else:
            wish = self._wish(path, onto, status, there)
        if wish == "replace":
            made = make(onto, True)
            self.replaced += 1
            return made, onto
        if wish == "both":
            return self._beside(onto, make)
        raise Taken

    def _beside(self, onto: bytes, make: Callable[[bytes, bool], T]) -> tuple[T, bytes]:
        for number in count(2):
            name = numbered(onto, number)
            try:
                made = make(name, False)
            except Taken:
                if number > _MOST:
                    raise
                continue
            self.kept_both += 1
            return made, name
        raise Taken

    def _wish(self, path: bytes, onto: bytes, status: os.stat_result, there: os.stat_result) -> Existing:
        if self._choices.existing != "ask":
            return self._choices.existing
        return self._choices.decide(Clash(path, Entry.of(onto, status), Entry.of(onto, there)))

    def _is_torn(self, guest: os.stat_result, there: os.stat_result) -> bool:
        """Whether it is the half of this very file that a copy before a power cut left under its name.

        What a file system keeps of a file that was not flushed is its inode, with the guest's time and
        owner, and not yet its data.
        """
        return (
            self._target.cut_off
            and stat.S_ISREG(there.st_mode)
            and stat.S_ISREG(guest.st_mode)
            and there.st_mtime_ns == guest.st_mtime_ns
            and (there.st_uid, there.st_gid) in ((guest.st_uid, guest.st_gid), (os.geteuid(), os.getegid()))
        )
