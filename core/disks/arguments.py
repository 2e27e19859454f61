"""What the command line of a program of QEMU tells: which disks it was given, and what its machine is called.

Options are read as QEMU reads them: words apart by commas, a comma of a name doubled; JSON for
``-blockdev`` and behind ``json:``. See qemu(1), qemu-nbd(8), qemu-img(1), qemu-storage-daemon(1).
"""

import itertools
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from core.disks.model import Mode

_PROGRAMS = re.compile(r"(qemu(-system-.+|-kvm|-img|-io|-nbd|-storage-daemon)?|kvm|kvm-spice)")
_PATHS = frozenset({"file", "filename", "file.filename", "path"})
_READ_ONLY = frozenset({"readonly", "read-only"})
_ON = frozenset({"on", "true", "yes"})
_WITH_DISK = frozenset({"hda", "hdb", "hdc", "hdd", "fda", "fdb", "mtdblock", "pflash", "sd"})
_READS = frozenset({"bench", "check", "compare", "info", "map", "measure", "dd"})
"""Verbs of qemu-img that do not write to the images they are given, or write to another."""
_DEEPEST = 32


@dataclass(frozen=True, slots=True)
class Naming:
    """A disk that a command line names."""

    path: str
    mode: Mode


def is_qemu(words: Sequence[str]) -> bool:
    """Whether a command line is that of a program of QEMU."""
    return bool(words) and bool(_PROGRAMS.fullmatch(os.path.basename(words[0])))


def disks(words: Sequence[str]) -> list[Naming]:
    """The disks that the command line of a program of QEMU names, with what it was told to do with them."""
    program = os.path.basename(words[0])
    if program == "qemu-img":
        return _of_qemu_img(words[1:])
    read_only = program in ("qemu-nbd", "qemu-io") and _reads_only(words[1:])
    return list(dict.fromkeys(_of_options(words, "read" if read_only else "write")))


def _of_options(words: Sequence[str], mode: Mode) -> Iterator[Naming]:
    for flag, value in itertools.pairwise((*words, "")):
        name = flag.lstrip("-") if flag.startswith("-") else ""
        if name == "cdrom":
            yield Naming(value, "read")
        elif name in _WITH_DISK:
            yield Naming(value, mode)
        elif name in ("drive", "blockdev", "image-opts"):
            yield from _of_value(value, mode)
        elif "=" in name:  # --blockdev=…, as the programs with long options take it too
            if name.partition("=")[0] in ("drive", "blockdev"):
                yield from _of_value(name.partition("=")[2], mode)
        elif not flag.startswith("-") and flag is not words[0]:
            yield from _of_word(flag, mode)


def _of_word(word: str, mode: Mode) -> Iterator[Naming]:
    """A word by itself: a file name, or an image in QEMU's other ways to write one."""
    if word.startswith(("json:", "file:")) or ("=" in word and "," in word):
        yield from _of_value(word, mode)
    elif word:
        yield Naming(word, mode)


def _of_value(value: str, mode: Mode) -> Iterator[Naming]:
    if value.startswith("file:"):
        yield Naming(value[5:], mode)
        return
    if value.lstrip().startswith("{") or value.startswith("json:"):
        try:
            yield from _of_json(json.loads(value.removeprefix("json:")), mode, 0)
        except (ValueError, RecursionError):
            return  # QEMU would not take it either
        return
    fields = [word.replace("\0", ",").partition("=") for word in value.replace(",,", "\0").split(",")]
    known = {key: text for key, _equals, text in fields}
    if any(known.get(key) in _ON for key in _READ_ONLY) or known.get("media") == "cdrom":
        mode = "read"
    for key, _equals, text in fields:
        if key.rpartition(".")[2] in _PATHS and text:
            yield from _of_value(text, mode) if text.startswith("json:") else (Naming(text, mode),)


def _of_json(node: Any, mode: Mode, depth: int) -> Iterator[Naming]:
    if not isinstance(node, dict) or depth > _DEEPEST:
        return
    if any(node.get(key) is True for key in _READ_ONLY):
        mode = "read"
    for key, value in node.items():
        if isinstance(value, str) and str(key).rpartition(".")[2] in _PATHS:
            yield Naming(value, mode)
        elif isinstance(value, dict):
            # What lies below is read: who commits to it opens it for writing later, and is seen then
            yield from _of_json(value, "read" if key == "backing" else mode, depth + 1)


def _reads_only(words: Sequence[str]) -> bool:
    short = [word for word in words if re.fullmatch(r"-[a-zA-Z]+", word)]
    return any("r" in word or "s" in word for word in short) or not {"--read-only", "--snapshot"}.isdisjoint(
        words
    )


def _of_qemu_img(words: Sequence[str]) -> list[Naming]:
    verb = next((word for word in words if not word.startswith("-")), "")
    found = list(_of_options(("qemu-img", *words), "write"))
    if verb in _READS and "-r" not in words:
        return [Naming(one.path, "read") for one in found]
    if verb == "convert" and found:
        return [*(Naming(one.path, "read") for one in found[:-1]), found[-1]]
    return found


def machine(words: Sequence[str]) -> str | None:
    """The name of the virtual machine: ``-name guest=NAME``, ``-name NAME``, VirtualBox's ``--comment``."""
    for flag, value in itertools.pairwise(words):
        if flag in ("-name", "--name"):
            options = value.replace(",,", "\0").split(",")
            name = next((one[6:] for one in options if one.startswith("guest=")), options[0])
            return name.replace("\0", ",")
        if flag == "--comment" and os.path.basename(words[0]).startswith("VBox"):
            return value
    return None
