"""Where hypervisors keep what they know of their machines."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Places:
    """The folders of one host, below `root`."""

    root: Path = Path("/")

    def at(self, path: str) -> Path:
        """A path of the host."""
        return self.root / path

    @property
    def home(self) -> Path:
        """The folder of the user who looks; of tests the one below their root."""
        return Path("~").expanduser() if self.root == Path("/") else self.root / "home"

    @property
    def user(self) -> int:
        """The number of the user whose machines are in `home`."""
        return os.geteuid()


HERE = Places()


def here() -> Places:
    """Those of this host."""
    return HERE
