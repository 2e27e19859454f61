"""Why a ticket can be handed back instead of being worked on; sometimes that is the right answer."""

from collections.abc import Mapping

from core.i18n import N_

REASONS: Mapping[str, str] = {
    "running": N_("The machine still runs and writes to this disk: it has to be shut down first."),
    "outside": N_("The header of this disk points to a file of this host: it must not be opened."),
    "incomplete": N_("A part of the disk is missing, and nothing can be recovered without it."),
    "encrypted": N_("It is encrypted, and the key is not here."),
}
"""By the name that a description and the command line use."""
