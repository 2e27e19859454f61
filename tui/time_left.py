"""The time that work still takes, as people tell it."""

from core.i18n import _
from core.text import duration


def about(seconds: float) -> str:
    """A time left as it is honest to tell it: the longer, the rounder."""
    if seconds < 10:
        return _("a few seconds left")
    if seconds < 60:
        rounded = -(-seconds // 10) * 10
    elif seconds < 600:
        rounded = -(-seconds // 30) * 30
    elif seconds < 3600:
        rounded = -(-seconds // 60) * 60
    else:
        rounded = -(-seconds // 300) * 300
    return _("about {time} left").format(time=duration(rounded))
