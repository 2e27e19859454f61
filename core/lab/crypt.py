"""An encrypted partition for a practice disk, written by qemu-img(1): no device mapper, no root."""

import os
import random
from pathlib import Path

from core.command import Command
from core.i18n import _
from core.lab.disk import by_hand
from core.lab.lab import Place
from core.runner import CommandFailed, Runner

HEADER = 4 << 20
"""Bytes of a partition that are left for the header; QEMU's LUKS needs 2 MiB."""
_TRIES = 10
"""On a busy host QEMU cannot always tell how fast the processor is, and gives up."""
_WORDS = (
    "amber", "bridge", "candle", "delta", "ember", "falcon", "garnet", "harbour", "island", "juniper",
    "kettle", "lantern", "meadow", "nickel", "orchard", "pebble", "quartz", "river", "saddle", "timber",
)  # fmt: skip


def passphrase(chance: random.Random) -> str:
    """Four words."""
    return "-".join(chance.sample(_WORDS, 4))


def encrypt(runner: Runner, plain: Path, raw: Path, place: Place, words: str) -> None:
    """Put the bytes of `plain`, encrypted, into a partition of `raw`. Raises `core.runner.CommandFailed`."""
    key, made = plain.with_suffix(".key"), plain.with_suffix(".luks")
    secret = ("--object", f"secret,id=key,file={key}")
    size = place.sectors * 512 - HEADER
    by_hand(runner, ("tee", str(key)), _("Write the passphrase into a file."), lambda: _put(key, words))
    create = ("qemu-img", "create", "-q", *secret, "-f", "luks", "-o", "key-secret=key,iter-time=100")
    changes = _("The practice disk changes.")
    command = Command((*create, str(made), str(size)), why=_("Make an encrypted volume."), effect=changes)
    for left in reversed(range(_TRIES)):
        try:
            runner.run(command)
            break
        except CommandFailed:
            if not left:
                raise
    target = f"driver=luks,key-secret=key,file.filename={made}"
    convert = ("qemu-img", "convert", "-n", "-f", "raw", *secret, "--target-image-opts", str(plain), target)
    runner.run(Command(convert, why=_("Write the file system into it."), effect=changes, limits=None))
    line = ("dd", f"if={made}", f"of={raw}", f"seek={place.start}", "conv=notrunc")
    by_hand(runner, line, _("Put it into its partition."), lambda: _into(made, raw, place))


def _put(key: Path, words: str) -> None:
    with open(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as sink:
        sink.write(words)


def _into(made: Path, raw: Path, place: Place) -> None:
    data = made.read_bytes()
    if len(data) > place.sectors * 512:
        raise OSError("the encrypted volume is longer than its partition")
    with open(raw, "r+b") as sink:
        sink.seek(place.offset)
        sink.write(data)
