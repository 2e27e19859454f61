"""What became of a thing that the journal tells of."""

from collections.abc import Mapping
from enum import Enum
from typing import Any

Facts = Mapping[str, Any]


class Standing(Enum):
    """What became of a thing that the journal tells of."""

    OURS = "ours"
    GONE = "gone"
    FOREIGN = "foreign"
    """Something stands there, but somebody else put it up: it is left alone."""
