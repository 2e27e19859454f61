"""Machines that nobody manages: running processes of QEMU, and the disks on their command lines.

See qemu(1): -drive, -blockdev with the -device that uses it, -hda and its like.
"""

import itertools
import json
import os
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.disks import arguments, programs
from core.machines.model import Device, MachineDisk, VirtualMachine

_MACHINES = re.compile(r"qemu(-system-.+|-kvm)?|kvm|kvm-spice")
_SHORT = frozenset({"hda", "hdb", "hdc", "hdd", "sd", "mtdblock"})
_FLOPPIES = frozenset({"fda", "fdb"})
_FILES = frozenset({"file", "host_device", "host_cdrom"})
_FILTERS = frozenset({"throttle", "copy-on-read", "blkdebug", "blkverify", "preallocate", "raw-filter"})
_OWN = frozenset({"node-name", "driver", "filename"})
"""Keys of a node whose words name no other node."""
_ON = frozenset({"on", "true", "yes"})
_DEEPEST = 16

Node = dict[str, Any]


def machines(known: Collection[int]) -> list[VirtualMachine]:
    """The machines whose processes run, but those in `known`."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) in known:
            continue
        words = programs.command_line(int(name))
        if words and _MACHINES.fullmatch(os.path.basename(words[0])):
            found.append(machine(int(name), words))
    return sorted(found, key=lambda one: (one.name, one.pid or 0))


def machine(pid: int, words: Sequence[str]) -> VirtualMachine:
    """The machine that a process of QEMU runs."""
    try:
        folder = os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        folder = ""
    line = _CommandLine.read(words[1:])
    disks = tuple(line.disks(folder))
    return VirtualMachine(arguments.machine(words) or f"qemu-{pid}", "qemu", str(pid), True, disks, pid)


@dataclass
class _CommandLine:
    """The options of a command line that tell of disks."""

    drives: list[tuple[str, Node]] = field(default_factory=list)
    """What each is called, and its options."""
    nodes: dict[str, Node] = field(default_factory=dict)
    used: dict[str, Node] = field(default_factory=dict)
    """By the name of a drive or node: the device that shows it to the machine."""

    @classmethod
    def read(cls, words: Sequence[str]) -> "_CommandLine":
        line = cls()
        for flag, value in itertools.pairwise((*words, "")):
            name = flag[1:].removeprefix("-") if flag.startswith("-") else ""
            if name in _SHORT or name in _FLOPPIES:
                line.drives.append((name, {"file": value, "if": "floppy" if name in _FLOPPIES else "ide"}))
            elif name == "cdrom":
                line.drives.append((name, {"file": value, "media": "cdrom"}))
            elif name == "drive":
                options = _options(value)
                title = options.get("id") or options.get("node-name")
                kind = options.get("if", "ide")
                number = options.get("index") or str(sum(one.get("if") == kind for _t, one in line.drives))
                line.drives.append((title or f"{kind}{number}", options))
            elif name == "blockdev":
                node = _options(value)
                if "node-name" in node:
                    line.nodes[str(node["node-name"])] = node
            elif name == "device":
                device = _options(value)
                line.used[str(device.get("drive", ""))] = device
        return line

    def disks(self, folder: str) -> Iterator[MachineDisk]:
        """The disks, in the order of the command line; a relative path begins in `folder`."""
        for name, options in self.drives:
            if options.get("if") == "pflash" or not ("file" in options or "driver" in options):
                continue  # firmware, or an empty drive
            device: Device = "floppy" if options.get("if") == "floppy" else "disk"
            yield self._disk(name, options, "cdrom" if options.get("media") == "cdrom" else device, folder)
        below = {
            value
            for node in self.nodes.values()
            for key, value in node.items()
            if isinstance(value, str) and key not in _OWN
        }
        for name, node in self.nodes.items():
            # Firmware has no device; without any device at all it is not said what each is for
            if name not in self.used and (self.used or name in below):
                continue
            yield self._disk(name, node, "disk", folder)

    def _disk(self, name: str, node: Node, device: Device, folder: str) -> MachineDisk:
        place, format = self._place(node, 0)
        if str(self.used.get(name, {}).get("driver", "")).endswith("-cd"):
            device = "cdrom"
        title = str(self.used.get(name, {}).get("id") or name)
        read_only = device == "cdrom" or any(_is_on(node.get(key)) for key in ("read-only", "readonly"))
        stated = node.get("format")
        stated = stated if isinstance(stated, str) else format
        if not place or _is_address(place):
            return MachineDisk(title, None, place, stated, device, read_only)
        path = Path(os.path.normpath(os.path.join(folder, place)))
        return MachineDisk(title, path if path.is_absolute() else None, "", stated, device, read_only)

    def _place(self, node: Any, depth: int) -> tuple[str, str | None]:
        """The file or address at the bottom of a node, and the format that is read from it."""
        if isinstance(node, str):
            if node.startswith("json:"):
                return self._place(_options(node), depth + 1)
            if node in self.nodes and depth:
                return self._place(self.nodes[node], depth + 1)
            return node.removeprefix("file:"), None
        if not isinstance(node, dict) or depth > _DEEPEST:
            return "", None
        driver = node.get("driver")
        if driver in _FILES or (driver is None and "filename" in node):
            return str(node.get("filename", "")), None
        if "file" in node:
            place, format = self._place(node["file"], depth + 1)
            own = driver if isinstance(driver, str) and driver not in _FILTERS else None
            return place, own or format
        return _remote(node), None


def _is_on(value: object) -> bool:
    return value is True or value in _ON


def _is_address(place: str) -> bool:
    return bool(re.match(r"[a-z][a-z0-9+.-]*:(//)?", place)) and not place.startswith("/")


def _remote(node: Node) -> str:
    """A node of a network driver as an address."""
    driver = str(node.get("driver", ""))
    if isinstance(node.get("url"), str):
        return str(node["url"])
    server = node.get("server")
    server = server if isinstance(server, dict) else {}
    export = str(node.get("export") or node.get("path") or "").lstrip("/")
    if driver == "nbd" and "path" in server:
        return f"nbd+unix:///{export}?socket={server['path']}"
    if driver in ("nbd", "ssh") and "host" in server:
        port = f":{server['port']}" if server.get("port") else ""
        return f"{driver}://{server['host']}{port}/{export}"
    if driver == "rbd":
        return f"rbd:{node.get('pool', '')}/{node.get('image', '')}"
    return f"{driver}:" if driver else ""


def _options(value: str) -> Node:
    """An option of QEMU: JSON, or ``key=value`` words in which ``a.b`` is the key b inside of a."""
    if value.lstrip().startswith("{") or value.startswith("json:"):
        try:
            node = json.loads(value.removeprefix("json:"))
        except (ValueError, RecursionError):
            return {}
        return node if isinstance(node, dict) else {}
    found: Node = {}
    for at, word in enumerate(value.replace(",,", "\0").split(",")):
        if not word:
            continue
        key, equals, text = word.replace("\0", ",").partition("=")
        if not equals:
            key, text = ("driver", key) if at == 0 else (key, "on")
        *above, last = key.split(".")
        inner = found
        for one in above[:_DEEPEST]:
            below = inner.get(one)
            if not isinstance(below, dict):
                # file=NAME,file.locking=off speaks of one file
                below = inner[one] = {} if below is None else {"filename": below}
            inner = below
        known = inner.get(last)
        if isinstance(known, dict):
            known["filename"] = text
        else:
            inner[last] = text
    return found
