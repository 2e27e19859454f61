"""TLS to a server of NBD: whose certificates are trusted, and what we show of ourselves.

Named in the address as nbd_connect_uri(3) of libnbd names them. QEMU takes folders with fixed file names:
``tls-creds-x509`` and ``tls-creds-psk`` of qemu(1).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote

from core.i18n import _
from core.text import safe

OBJECT = "tls"
AUTHORITIES = (Path("/etc/ssl/certs/ca-certificates.crt"), Path("/etc/pki/tls/certs/ca-bundle.crt"))
"""The certificates that the system trusts: ca-certificates of Debian and Ubuntu, and of Fedora."""
_KNOWN = frozenset({"socket", "tls-certificates", "tls-psk-file", "tls-username", "tls-hostname"})


@dataclass(frozen=True, slots=True)
class Credentials:
    """What is trusted (`files`, by the names that QEMU looks for), and how QEMU is told."""

    files: Mapping[str, Path]
    words: str
    """Of the object, without its folder."""
    node: Mapping[str, Any]

    def object(self, folder: Path) -> str:
        """The argument of ``--object``, with the folder that has the `files`."""
        place = str(folder).replace(",", ",,")
        return f"{self.words},id={OBJECT},endpoint=client,dir={place}"


def credentials(parts: SplitResult) -> Credentials:
    """What an address of NBD over TLS asks for; raises ValueError with a reason for a person."""
    given = parse_qs(parts.query, keep_blank_values=True)
    for name in given:
        if name == "tls-verify-peer":
            raise ValueError(_("a server whose certificate is not checked could be anybody"))
        if name not in _KNOWN:
            raise ValueError(_("{name} means nothing in it").format(name=safe(name)))
    value = {name: values[-1] for name, values in given.items()}
    node: dict[str, Any] = {"tls-creds": OBJECT}
    if host := value.get("tls-hostname"):
        node["tls-hostname"] = host
    if psk := value.get("tls-psk-file"):
        user = value.get("tls-username") or unquote(parts.username or "")
        named = ",username=" + user.replace(",", ",,") if user else ""
        return Credentials({"keys.psk": _file(psk)}, f"tls-creds-psk{named}", node)
    if folder := value.get("tls-certificates"):
        names = ("ca-cert.pem", "client-cert.pem", "client-key.pem", "ca-crl.pem")
        files = {name: path for name in names if (path := Path(folder) / name).is_file()}
        if "ca-cert.pem" not in files:
            raise ValueError(_("there is no ca-cert.pem in {path}").format(path=safe(folder)))
        return Credentials(files, "tls-creds-x509,verify-peer=on", node)
    system = next((path for path in AUTHORITIES if path.is_file()), None)
    if system is None:
        raise ValueError(_("it names no tls-certificates=FOLDER, and this host trusts no authority"))
    # QEMU's own look at the files takes 16 certificates at the most
    return Credentials({"ca-cert.pem": system}, "tls-creds-x509,verify-peer=on,sanity-check=off", node)


def _file(name: str) -> Path:
    path = Path(name)
    if not path.is_absolute() or not path.is_file():
        raise ValueError(_("there is no {path}").format(path=safe(name)))
    return path
