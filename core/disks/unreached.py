"""Why an address could not be opened, in a sentence for a person, with what to do.

The programs that fetch the bytes say it in words of their own, which name no file and no remedy. What is
looked for here is what QEMU's block/ssh.c, block/curl.c, block/nbd.c, libcurl, GnuTLS and nbdkit say.
"""

import os
import pwd
import re
import shlex
from collections.abc import Callable
from pathlib import Path

from core.disks.addresses import Address, is_login
from core.errors import NeedsPassphrase, SalvageError, ToolMissing
from core.i18n import _, sentences
from core.text import safe

_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/=]+")
_HTTP = re.compile(r"returned error: (\d{3})")


def explained(found: Address, said: str) -> SalvageError | None:
    """What the words of a program mean for an address; None where they are not known.

    `NeedsPassphrase` where a password is wanted, or the one that was given is wrong.
    """
    if "Unknown driver" in said or "Unknown protocol" in said:
        return ToolMissing(
            _("QEMU's client for {address} is not installed.").format(address=found.title),
            _("Nothing was opened."),
            _("Install it with: apt-get install {package}").format(package="qemu-block-extra"),
        )
    if not said:
        return _stalled(found) if found.host else None
    teller = {"ssh": _ssh, "http": _web, "https": _web}.get(found.scheme, _nbd)
    return teller(found, said)


def password_needed(login: Path, *, again: bool = False) -> NeedsPassphrase:
    """The error for an address that wants a password that is not known, or wrong."""
    scheme, _colon, where = str(login).partition(":")
    user, _at, server = where.rpartition("@")
    if again:
        told = _("{server} did not take that password of {user}.")
    elif scheme == "ssh":
        told = _("{server} let {user} in with no key that was found here, and no password was given.")
    else:
        told = _("{server} wants a password of {user}, and it was not given.")
    remedy = _("Give it at the terminal, or with --passphrase-file.")
    if scheme == "ssh":
        key = _(
            "Or let in the key of the user that runs this program ({folder}), or load one into an agent"
            " that this program sees (SSH_AUTH_SOCK; sudo takes it away unless told to keep it)."
        )
        remedy = sentences((remedy, key.format(folder=safe(_home() / ".ssh"))))
    return NeedsPassphrase(
        login,
        told.format(server=safe(server), user=safe(user)),
        _("Nothing was opened or changed."),
        remedy,
        again=again,
    )


def wanted_title(path: Path) -> str:
    """Which passphrase or password is asked for under that name."""
    if not is_login(path):
        return _("the passphrase of {path}").format(path=safe(path))
    user, _at, server = str(path).partition(":")[2].rpartition("@")
    return _("the password of {user} at {server}").format(user=safe(user), server=safe(server))


def _home() -> Path:
    """Where the SSH library looks for keys and known hosts, whatever HOME says."""
    return Path(pwd.getpwuid(os.geteuid()).pw_dir)


def _error(what: str, remedy: str = "", meaning: str = "") -> SalvageError:
    return SalvageError(what, meaning or _("Nothing was opened."), remedy)


def _by_hand(found: Address) -> str:
    """The command that connects once by hand."""
    port = ("-p", str(found.port)) if found.port != 22 else ()
    return shlex.join(("ssh", *port, f"{found.user}@{found.host}"))


def _ssh(found: Address, said: str) -> SalvageError | None:
    host = safe(found.host)
    known = safe(_home() / ".ssh/known_hosts")
    if "does not match" in said or "changed" in said.lower():
        seen = _FINGERPRINT.search(said)
        name = found.host if found.port == 22 else f"[{found.host}]:{found.port}"
        return _error(
            _("The key of {host} is another one than {file} has: {fingerprint}.").format(
                host=host, file=known, fingerprint=seen.group() if seen else _("its fingerprint was not told")
            ),
            _(
                "Ask whoever runs the server whether it was set up anew, and compare the fingerprint."
                " Only if it is right: {forget}, then {connect} once by hand."
            ).format(forget=shlex.join(("ssh-keygen", "-R", name)), connect=_by_hand(found)),
            _("Somebody may be answering in its place. No key and no password was sent, nothing was opened."),
        )
    if "no host key was found" in said or "another type exists" in said or "known" in said.lower():
        return _error(
            _("{host} is not known yet: {file} has no key of that kind for it.").format(
                host=host, file=known
            ),
            _(
                "As the user that runs this program, connect once by hand: {connect}. Compare the"
                " fingerprint that it shows with what whoever runs the server says, and only then accept it."
            ).format(connect=_by_hand(found)),
            _("Anybody could answer in its place. No key and no password was sent, nothing was opened."),
        )
    if "authenticat" in said:
        return password_needed(found.login, again="password" in said or "all possible" in said)
    if "No such file" in said:
        return _error(
            _("There is no {path} on {host}.").format(path=safe(found.node["path"]), host=host),
            _("Check the path: it counts from the root of that host, not from a home folder."),
        )
    if "ermission denied" in said:
        return _error(
            _("{user} may not read {path} on {host}.").format(
                user=safe(found.user), path=safe(found.node["path"]), host=host
            ),
            _("Name a user who may, as in ssh://USER@HOST/PATH, or have the file made readable there."),
        )
    if "sftp" in said.lower():
        return _error(
            _("{host} let {user} in, but has no SFTP, by which the file is read.").format(
                host=host, user=safe(found.user)
            ),
            _("Have the subsystem sftp switched on in its sshd_config, or serve the file in another way."),
        )
    if "imeout" in said or "establish SSH session" in said:
        return _stalled(found)
    return None


def _stalled(found: Address) -> SalvageError:
    return _error(
        _("{host} took the connection at port {port}, and then nothing more came from it.").format(
            host=safe(found.host), port=found.port
        ),
        _("See how it is doing, and what runs at that port; then try again."),
    )


def _web(found: Address, said: str) -> SalvageError | None:
    host = safe(found.host)
    if code := _HTTP.search(said):
        return _status(found, int(code[1]))
    if "range" in said:
        return _error(
            _("{host} does not serve parts of files, so the disk cannot be read where it lies.").format(
                host=host
            ),
            _("Fetch the image as a whole (curl -O, wget), and open the file."),
        )
    if "imed out" in said or "imeout" in said:
        return _stalled(found)
    return _certificate(found, said, _own_authority)


def _status(found: Address, code: int) -> SalvageError:
    host, path = safe(found.host), safe(found.name)
    if code == 401:
        if found.user:
            return password_needed(found.login, again=True)
        return _error(
            _("{host} wants a name and a password for {path}.").format(host=host, path=path),
            _("Put the name into the address, as in https://NAME@HOST/PATH; the password is asked for then."),
        )
    if code == 403:
        return _error(
            _("{host} does not let {path} be read.").format(host=host, path=path),
            _("Ask whoever runs the server, or name a user who may: https://NAME@HOST/PATH."),
        )
    if code in (404, 410):
        return _error(
            _("There is no {path} on {host}.").format(path=path, host=host), _("Check the address.")
        )
    return _error(
        _("{host} answered with the error {code}.").format(host=host, code=code),
        _("Try again later, or ask whoever runs the server."),
    )


def _own_authority() -> str:
    return _(
        "If it is of an authority of your own, name its certificate behind the address: #ca=/path/ca.pem."
        " Get that file by a way that you trust, and not from the server."
    )


def _authorities() -> str:
    return _(
        "If it is of an authority of your own, name the folder with its ca-cert.pem:"
        " ?tls-certificates=/folder. Get that file by a way that you trust, and not from the server."
    )


def _certificate(found: Address, said: str, own: Callable[[], str]) -> SalvageError | None:
    """What is wrong with the server's certificate, by the words of GnuTLS and OpenSSL."""
    host, low = safe(found.host), said.lower()
    unsafe = _("Somebody may be answering in its place. Nothing was opened, and no password was sent.")
    if "hostname" in low or "subject name" in low or "owner" in low or "does not match" in low:
        return _error(
            _("The certificate that answers for {host} was made for another name.").format(host=host),
            _("Use the name that it was made for, or ask whoever runs the server."),
            unsafe,
        )
    if "expired" in low or "not yet" in low or "activated" in low:
        return _error(
            _(
                "The certificate of {host} is not valid at this time: it has expired, or a clock is wrong."
            ).format(host=host),
            _("Look at the clock of this host (date); otherwise the server must get a new certificate."),
            unsafe,
        )
    if "issuer" in low or "certificate verif" in low or "certificate problem" in low or "self-signed" in low:
        return _error(
            _("The certificate of {host} is of an authority that is not trusted here.").format(host=host),
            own(),
            unsafe,
        )
    return None


def _nbd(found: Address, said: str) -> SalvageError | None:
    where = safe(found.host) or found.title
    export = safe(str(found.node.get("export", "")))
    low = said.lower()
    if "export" in low and (
        "not available" in low or "not present" in low or "no such" in low or "unknown" in low
    ):
        return _error(
            _("{server} has no export called “{name}”.").format(server=where, name=export),
            _(
                "The name stands behind the host, as in nbd://HOST/NAME; `virt-salvage list nbd://HOST`"
                " shows what there is."
            ),
        )
    if "tls negotiation required" in low or "starttls first" in low or "requires tls" in low:
        return _error(
            _("{server} wants TLS.").format(server=where),
            _(
                "Write nbds:// in the place of nbd://, with ?tls-certificates=FOLDER or ?tls-psk-file=FILE"
                " where it wants those."
            ),
        )
    if found.tls is None:
        return None
    if "starttls" in low or "tls not configured" in low or "support tls" in low:
        return _error(
            _("{server} offers no TLS.").format(server=where),
            _("If you trust the network between, write nbd:// in the place of nbds://."),
            _("Without it anybody on the way could read and change what comes. Nothing was opened."),
        )
    if error := _certificate(found, said, _authorities):
        return error
    if "tls" in low or "handshake" in low or "alert" in low or "certificate" in low or "key" in low:
        return _error(
            _("{server} and this host found no common ground for TLS: {message}").format(
                server=where, message=said
            ),
            _(
                "See whether it wants a certificate or a key of ours: client-cert.pem and client-key.pem in"
                " the folder of ?tls-certificates=, or ?tls-psk-file= with the user's name in ?tls-username=."
            ),
        )
    return None
