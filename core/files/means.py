"""What one copy works with, from its beginning to its end."""

from dataclasses import dataclass

from core.cancel import CancelToken
from core.files.abilities import Abilities
from core.files.choices import Choices
from core.files.manifest import Manifest
from core.files.prefetch import Prefetch
from core.files.progress import Meter
from core.files.resume import Resume
from core.files.sidecar import Sidecar
from core.files.small import Small
from core.files.tally import Tally
from core.files.target import Target
from core.files.tree import GuestTree


@dataclass(frozen=True, slots=True)
class Means:
    """Where files come from and go to, how, and what is put down of them."""

    tree: GuestTree
    target: Target
    able: Abilities
    """What the target can keep."""
    choices: Choices
    cancel: CancelToken
    meter: Meter
    tally: Tally
    manifest: Manifest
    sidecar: Sidecar
    resume: Resume
    prefetch: Prefetch
    small: Small
