"""A session: one disk on its way to recovered files, and everything put up for it.

Both faces drive this. Each step hands on a value and may be taken again with another choice; what
hangs below it is taken down first:

    select → protect → inspect → open → (list, read, copy)
"""

from core.session.session import Session

__all__ = ["Session"]
