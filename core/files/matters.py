"""What matters first on a volume of a known layout: homes, settings, databases, mail, web, containers.

The places are those of Debian's, Fedora's and Alpine's packages (hier(7), the Filesystem Hierarchy
Standard 3.0) and of Windows since Vista. A volume that is only a part of the tree, such as /var or
/home, is known by what is at its top.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain

from core.errors import SalvageError
from core.files.tree import GuestTree
from core.i18n import N_, _

_UNIX = (
    ("/home/*", N_("home folder")),
    ("/root", N_("home folder of root")),
    ("/etc", N_("settings of the system")),
    ("/var/lib/mysql", N_("MySQL or MariaDB")),
    ("/var/lib/postgresql", N_("PostgreSQL")),
    ("/var/lib/pgsql", N_("PostgreSQL")),
    ("/var/lib/mongodb", N_("MongoDB")),
    ("/var/lib/mongo", N_("MongoDB")),
    ("/var/lib/redis", N_("Redis")),
    ("/var/lib/ldap", N_("LDAP directory")),
    ("/var/lib/influxdb", N_("InfluxDB")),
    ("/var/lib/grafana", N_("Grafana")),
    ("/var/lib/docker/volumes", N_("volumes of Docker")),
    ("/var/lib/containers/storage/volumes", N_("volumes of Podman")),
    ("/var/lib/libvirt/images", N_("disks of virtual machines")),
    ("/var/lib/vz/images", N_("disks of virtual machines")),
    ("/var/lib/nova/instances", N_("disks of virtual machines")),
    ("/var/www", N_("web sites")),
    ("/srv", N_("what the machine served")),
    ("/usr/share/nginx/html", N_("web sites")),
    ("/var/mail", N_("mail")),
    ("/var/spool/mail", N_("mail")),
    ("/var/vmail", N_("mail")),
    ("/var/spool/cron", N_("timed jobs")),
    ("/var/lib/git", N_("Git repositories")),
    ("/opt", N_("programs installed apart, often with their data")),
    ("/usr/local/etc", N_("settings of own programs")),
)
_WINDOWS = (
    ("/Users/*", N_("user profile")),
    ("/Documents and Settings/*", N_("user profile")),
    ("/inetpub", N_("web sites")),
    ("/ProgramData/MySQL", N_("MySQL or MariaDB")),
    ("/Program Files/Microsoft SQL Server", N_("SQL Server")),
    ("/Program Files/PostgreSQL", N_("PostgreSQL")),
    ("/Windows/System32/config", N_("registry")),
)
_NOBODY = {"public", "default", "default user", "all users", "defaultaccount", "lost+found", ".ecryptfs"}
_LOGIN = {b".profile", b".bashrc", b".bash_profile", b".zshrc", b".ssh", b".config"}
_MOST = 200


@dataclass(frozen=True, slots=True)
class Matter:
    """A folder that is worth copying first, and what it is."""

    path: bytes
    why: str


def matters(tree: GuestTree) -> list[Matter]:
    """What matters on this volume, each that is there once. Links are left out: what they lead to counts."""
    tops = _names(tree, b"/")
    lower = {name.lower() for name in tops}
    if b"windows" in lower or (b"users" in lower and b"program files" in lower):
        found = _places(tree, _WINDOWS, "", fold=True)
    elif b"etc" in tops:
        found = _places(tree, _UNIX, "", fold=False)
    elif {b"lib", b"log"} <= tops or {b"lib", b"spool"} <= tops:
        found = _places(tree, _UNIX, "/var", fold=False)
    else:
        # A part with its folders as they are called from the root on, or what is mounted at /home
        found = chain(_places(tree, _UNIX, "", fold=False), _homes(tree, tops))
    return list({matter.path: matter for matter in found}.values())[:_MOST]


def _places(
    tree: GuestTree, table: tuple[tuple[str, str], ...], prefix: str, *, fold: bool
) -> Iterator[Matter]:
    """The places of a table that are there, on a volume that is mounted at `prefix` in the guest."""
    for place, why in table:
        if not place.startswith(prefix + "/"):
            continue
        parts = place.removeprefix(prefix).encode().strip(b"/").split(b"/")
        for path in _matching(tree, b"", parts, fold):
            yield Matter(path, _(why))


def _matching(tree: GuestTree, at: bytes, parts: list[bytes], fold: bool) -> Iterator[bytes]:
    if not parts:
        if _is_filled(tree, at):
            yield at
        return
    head, *rest = parts
    if head == b"*":
        for name in sorted(_names(tree, at or b"/")):
            if name.decode("utf-8", "replace").lower() not in _NOBODY:
                yield from _matching(tree, at + b"/" + name, rest, fold)
    elif fold:
        for name in _names(tree, at or b"/"):
            if name.lower() == head.lower():
                yield from _matching(tree, at + b"/" + name, rest, fold)
    else:
        yield from _matching(tree, at + b"/" + head, rest, fold)


def _homes(tree: GuestTree, tops: set[bytes]) -> Iterator[Matter]:
    """The folders at the top of what is mounted at /home: those in which somebody logs in."""
    for name in sorted(tops):
        if _names(tree, b"/" + name) & _LOGIN:
            yield Matter(b"/" + name, _("home folder"))


def _is_filled(tree: GuestTree, path: bytes) -> bool:
    """Whether it is a folder, not a link to one, with something in it."""
    with suppress(SalvageError), tree.resolve(path, follow_last=False) as place:
        return place.kind == "dir" and bool(_names(tree, path))
    return False


def _names(tree: GuestTree, path: bytes) -> set[bytes]:
    with suppress(SalvageError):
        return tree.names(path)
    return set()
