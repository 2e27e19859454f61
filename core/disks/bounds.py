"""Where the header of an image may lead: the disk's own folder, and what the operator allowed."""

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import PointsOutside, WrongUsage
from core.i18n import _, noted
from core.text import quoted, safe

_SHOWN = 5
"""Paths that one message lists."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where references may lead: the disk's own folder, and the paths that the operator allowed.

    Inside the folder, a file must also be one that nobody can have slipped in: see `_stranger`.
    """

    home: Path
    allowed: frozenset[Path]
    trusted: frozenset[int]
    """Users who could give the operator a false disk anyway: root, its owner, the operator."""

    @classmethod
    def of(cls, disk: Path, owner: int, allow: Sequence[Path]) -> "Bounds":
        """The bounds for a disk at a resolved path that belongs to the user number `owner`.

        Raises `WrongUsage` for an allowed path that leads nowhere.
        """
        allowed = set()
        for path in allow:
            try:
                allowed.add(path.expanduser().resolve())
            except (OSError, RuntimeError, ValueError) as error:
                raise WrongUsage(_("--allow {path} leads nowhere.").format(path=safe(path))) from error
        behind_sudo = os.environ.get("SUDO_UID", "")
        operator = {int(behind_sudo)} if os.geteuid() == 0 and behind_sudo.isdecimal() else set[int]()
        return cls(disk.parent, frozenset(allowed), frozenset({0, owner, os.getuid(), *operator}))

    def objection(self, image: Path, path: Path, kind: str) -> str:
        """Why the operator must be asked before a resolved path is opened for `image`; empty if not."""
        if path in self.allowed:
            return ""
        if not self._inside(path):
            return _("it lies outside the disk's own folder {folder}").format(folder=safe(self.home))
        if kind == "extent" and path.parent != image.parent:
            return _("it does not lie beside the descriptor that names it")
        if self._stranger(path):
            return _("it belongs to another user, who may have put it there")
        return ""

    def _inside(self, path: Path) -> bool:
        """Whether a path lies in the disk's own folder, or below it in folders that may hold disks.

        A disk that was saved in somebody's home or in ``/`` does not open what is hidden or lies below.
        """
        if not path.is_relative_to(self.home):
            return False
        below = path.relative_to(self.home).parts
        if any(part.startswith(".") for part in below):
            return False
        return len(below) == 1 or self.home != self.home.parent

    def _stranger(self, path: Path) -> bool:
        """Whether somebody else can have put a file there for the disk's header to find it.

        The owner alone says too little: libvirt gives a backing file to its own user and leaves it so.
        So a file counts as the disk's own where root, the disk's owner or the operator owns it, or
        where only they can write to its folder. In ``/tmp`` another user's file does not.
        """
        try:
            owner = os.stat(path).st_uid
            folder = os.stat(path.parent)
        except OSError:
            return False  # what is not there is told as missing
        open_to_others = folder.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        return owner not in self.trusted and bool(open_to_others or folder.st_uid not in self.trusted)


def points_outside(image: Path, objections: Sequence[tuple[Path, str]]) -> PointsOutside:
    """The refusal to open the paths that a header names, each with the objection to it."""
    shown = objections[:_SHOWN]
    named = _("; ").join(noted(safe(path), reason) for path, reason in shown)
    if len(objections) > _SHOWN:
        named += _(" and {count} more").format(count=len(objections) - _SHOWN)
    return PointsOutside(
        objections[0][0],
        _("The header of {image} points to {paths}.").format(image=safe(image), paths=named),
        _("A header made with bad intent can show any file of this host that way. Nothing was opened."),
        _("If that belongs to this disk, allow it: {options}").format(
            options=" ".join(f"--allow {quoted(str(path))}" for path, _reason in shown)
        ),
    )
