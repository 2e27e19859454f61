"""Why something of a guest's file system cannot be read, in words."""

import errno
import os

from core.i18n import N_, _
from core.text import safe

_PLAIN = {
    errno.EUCLEAN: N_(
        "the file system is damaged at this place ({system}); a repair in an overlay, `check --repair`,"
        " may bring it back"
    ),
    errno.EBADMSG: N_("its checksum does not fit: the file system is damaged at this place ({system})"),
    errno.ENOKEY: N_("the guest has encrypted it, and only the guest has the key ({system})"),
}
"""Errors of file systems, see errno(3), whose own words tell nobody what happened; ext4 and XFS give
EUCLEAN for a structure that cannot be and EBADMSG for one of a wrong checksum (fs/xfs/xfs_linux.h and
fs/ext4/ext4.h of the kernel call them EFSCORRUPTED and EFSBADCRC)."""


def meaning(code: int | None) -> str:
    """What an error number means, without a full stop; the system's own words are in it."""
    system = safe(os.strerror(code or 0))
    plain = _PLAIN.get(code or 0)
    return _(plain).format(system=system) if plain else system


def reason(error: OSError) -> str:
    """What the system says about an error, as a sentence."""
    return _("The system says: {reason}.").format(reason=meaning(error.errno))
