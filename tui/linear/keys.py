"""What opens an encrypted volume, line by line, where it is no passphrase alone: a key file, a header."""

from core.i18n import _
from core.secrets import Secret
from core.volumes.luks.opening import needed
from core.volumes.model import Inspection, Volume
from tui.cli.common import absolute
from tui.cli.passphrases import typed
from tui.linear.ground import Ground
from tui.linear.talk import BACK
from tui.linear.telling import volume_told

_BACK = "b"


def offered(seen: Inspection) -> list[Volume]:
    """What a key file or a header in a file of its own may open."""
    return [one for one in seen.volumes if one.locked or one.unknown]


def unlock(ground: Ground, seen: Inspection) -> str | None:
    """Ask for what opens one of the volumes, and open it; its id then, None where the person goes back."""
    asides = ground.asides("passphrase")
    volumes = {f"v{one.id}": one for one in offered(seen)}
    chosen = BACK if len(volumes) > 1 else next(iter(volumes))
    if len(volumes) > 1:
        told = [(name, volume_told(one, seen)) for name, one in volumes.items()]
        chosen = ground.talk.choose(_("Which volume?"), told, asides)
    if chosen == BACK:
        return None
    volume = volumes[chosen]
    header = ground.talk.read(
        _("The file with its LUKS header; Enter alone: the header lies before the data:")
        if volume.locked
        else _("The file with its LUKS header; Enter alone goes back:"),
        asides,
    )
    if header == _BACK or not (header or volume.locked):
        return None
    key = ground.talk.read(_("A key file; Enter alone: the passphrase is typed:"), asides)
    if key == _BACK:
        return None
    secret = Secret.from_file(absolute(key), whole=True) if key else _typed(ground, volume)
    name = volume.id if volume.locked else f"{volume.id}/luks"
    place = absolute(header) if header else None
    told_first = _("Opening the encrypted volume; that takes a while on purpose.")
    ground.work(told_first, ground.flow.do_unlock, name, secret, place)
    return name


def _typed(ground: Ground, volume: Volume) -> Secret:
    operator = ground.flow.operator
    question = _("The passphrase of {volume}: ").format(volume=volume.title)
    secret = operator.submit(lambda: typed(question, operator.cancel)).result()
    if secret is None:
        raise needed(volume)
    return secret
