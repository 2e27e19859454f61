"""When what is not used any more is looked for."""

import gc
from typing import Any

from textual.app import App

_NEVER = 1_000_000_000
"""Collections of younger objects after which all would be looked through."""
_TIDY = 60.0
"""Seconds after which all are."""


def tidy_seldom(app: App[Any]) -> None:
    """Looking through all that lives for garbage holds up a key: it is done by the clock, which a key
    seldom meets, and not to what is there now, which lives to the end."""
    gc.set_threshold(*gc.get_threshold()[:2], _NEVER)
    app.set_interval(_TIDY, _tidy)
    app.call_after_refresh(gc.freeze)


def _tidy() -> None:
    gc.collect()
