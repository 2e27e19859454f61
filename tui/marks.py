"""What is marked to be copied: a folder takes all that is in it along."""

from collections.abc import Iterable

from core.i18n import _
from core.text import safe


def over(path: bytes, marks: Iterable[bytes]) -> bytes | None:
    """The marked folder that a path goes with; None where it goes with none."""
    return next((one for one in marks if one != path and path.startswith(one.rstrip(b"/") + b"/")), None)


def outermost(marks: Iterable[bytes]) -> tuple[bytes, ...]:
    """The marks in order, without those of what lies in something marked."""
    kept: list[bytes] = []
    for path in sorted(marks, key=lambda one: one.split(b"/")):
        if not (kept and over(path, kept[-1:])):
            kept.append(path)
    return tuple(sorted(kept))


def goes_along(folder: bytes) -> str:
    """That something needs no mark of its own."""
    return _("It goes with its folder {path}, which is marked.").format(path=safe(folder))
