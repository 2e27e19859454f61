"""What the system's answer to a read in the guest's tree means, in plain words."""

import errno
import os
from collections.abc import Mapping

from core.i18n import N_, _, sentences
from core.text import safe

_DAMAGED = frozenset({errno.EUCLEAN, errno.EBADMSG})
"""What the kernel's file systems call EFSCORRUPTED and EFSBADCRC: their own records make no sense."""

_WHY: Mapping[int, str] = {
    **dict.fromkeys(_DAMAGED, N_("the file system is damaged there: {said}")),
    errno.EIO: N_("the disk cannot be read there, or its file system is damaged: {said}"),
}
_SENTENCE: Mapping[int, str] = {
    **dict.fromkeys(_DAMAGED, N_("The file system is damaged at this place ({said}).")),
    errno.EIO: N_("The disk cannot be read at this place, or its file system is damaged there ({said})."),
}


def why(code: int) -> str:
    """An error number as the end of a sentence, behind a colon or in brackets; often the system's own words.

    Those are kept beside ours: they are what one searches for.
    """
    said = safe(os.strerror(code))
    return _(_WHY[code]).format(said=said) if code in _WHY else said


def hint(code: int) -> str:
    """What may bring back what could not be read because of that error, as a sentence; often empty."""
    if code not in _DAMAGED:
        return ""
    return _(
        "A check tells how damaged it is, and a repair in an overlay may bring more back"
        " (`virt-salvage check`, `--repair`)."
    )


def reason(error: OSError) -> str:
    """An error as a sentence or two, for a list of what could not be read."""
    code = error.errno or 0
    said = safe(os.strerror(code))
    told = _(_SENTENCE.get(code, N_("The system says: {reason}."))).format(reason=said, said=said)
    return sentences(filter(None, (told, hint(code))))
