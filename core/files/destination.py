"""Where a copy goes: what the word that names it means."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.errors import WrongUsage
from core.i18n import _

Shape = Literal["folder", "tar", "zip", "stream", "rsync", "rclone"]

_ENDINGS: dict[str, Shape] = {".tar": "tar", ".tar.zst": "tar", ".tzst": "tar", ".zip": "zip"}
_REMOTE: tuple[Shape, ...] = ("rsync", "rclone")


@dataclass(frozen=True, slots=True)
class Destination:
    """A folder, an archive file, standard output (`stream`), or a place that rsync or rclone reach."""

    shape: Shape
    path: Path = Path()
    """The folder or the archive."""
    remote: str = ""
    """What rsync or rclone call it."""

    @property
    def word(self) -> str:
        """The word that names it; see `destination`."""
        if self.shape == "stream":
            return "-"
        return f"{self.shape}:{self.remote}" if self.remote else str(self.path)

    @property
    def compressed(self) -> bool:
        """Whether a tar is packed by zstd."""
        return self.path.name.endswith("zst")


def is_remote(place: str) -> bool:
    """Whether rsync or rclone takes it for a place elsewhere: a colon comes before any slash (rsync(1))."""
    return ":" in place.split("/")[0]


def destination(word: str) -> Destination:
    """What DEST of a copy means: ``-``, ``rsync:…``, ``rclone:…``, a name that ends as archives do, a folder.

    A folder that is there is a folder, whatever its name ends in. A word without a colon is a path of this
    host to both programs, so it is taken only where it says in full which one. Raises `WrongUsage`.
    """
    if word == "-":
        return Destination("stream")
    for shape in _REMOTE:
        if word.startswith(f"{shape}:"):
            remote = word.removeprefix(f"{shape}:")
            if remote.startswith("-") or not (is_remote(remote) or remote.startswith("/")):
                raise WrongUsage(
                    _("{word} names no place for {program}.").format(word=word, program=shape),
                    _("Nothing was copied."),
                    _("Write it like rsync:backup:/srv/rescued or rclone:remote:folder."),
                )
            return Destination(shape, remote=remote)
    path = Path(word).expanduser().absolute()
    if not path.is_dir():
        for ending, shape in _ENDINGS.items():
            if path.name.endswith(ending) and path.name != ending:
                return Destination(shape, path)
    return Destination("folder", path)
