"""How the test machine is put together: the command that starts it and its first file system."""

import shutil
import stat
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core import tools

from .boot import Entry, archive
from .build import Image

KERNEL_LINE = (
    *("console=ttyS0", "quiet", "panic=-1", "mitigations=off", "no_timer_check", "tsc=reliable"),
    *("cryptomgr.notests", "random.trust_cpu=on"),
)
"""What saves time under emulation, and an end instead of a wait when the kernel panics."""
PACKAGES = ("core", "tui", "tests")
"""What is compiled of the checkout before a machine starts, which takes it several times as long."""
PROCESSOR = "qemu64,+aes,+pclmulqdq,+ssse3,+sse4.1,+sse4.2,+popcnt,+rdrand"
"""What Debian needs and what ciphers gain by. All that QEMU can emulate takes a seventh longer: programs and
kernel choose instructions then that are fast in silicon only, and page tables of five levels."""
ACCELERATORS = {
    "tcg": ("-accel", "tcg,thread=multi,tb-size=512", "-cpu", PROCESSOR),
    "kvm": ("-accel", "kvm", "-cpu", "host"),
}


@dataclass(frozen=True, slots=True)
class Setup:
    """What the machine is made of."""

    checkout: Path
    scratch: Path | None = None
    """The folder shared for writing; None for one that goes with the machine."""
    disks: Mapping[str, Path] = field(default_factory=dict)
    """Raw images by the name under which /disks shows them; writes go into them."""
    discs: Sequence[Path | None] = ()
    """What lies in the CD drives, /dev/sr0 first; None for an empty one. Emulated machines only."""
    floppies: Sequence[Path | None] = ()
    """What lies in the floppy drives, /dev/fd0 first, the same way; writes go into it."""
    memory: int = 1024
    """MiB."""
    processors: int = 1
    """With more, emulation has to keep their accesses to memory in order, and takes half as long again."""
    udev: bool = True
    """Whether udev runs, as on a server; without it the boot is a second shorter."""
    accelerator: str = ""
    """``tcg`` or ``kvm``, empty for the one that works here; or that of `usermode`."""


def scratch(setup: Setup, folder: Path) -> Path:
    """Where the host sees what the guest sees at /scratch."""
    return setup.scratch or folder / "scratch"


def commands(folder: Path) -> Path:
    """Where commands and their outputs are handed over."""
    return folder / "commands"


def prepare(image: Image, setup: Setup, folder: Path) -> None:
    """Lay out in `folder` what one machine needs while it runs."""
    share(image, setup, folder)
    first(folder).write_bytes(image.early.read_bytes() + archive(scripts()))


def share(image: Image, setup: Setup, folder: Path) -> None:
    """Make the folders that a machine shares with this host, and hand on what is compiled."""
    commands(folder).mkdir()
    scratch(setup, folder).mkdir(exist_ok=True)
    argv = [sys.executable, "-m", "compileall", "-q", *PACKAGES]
    subprocess.run(argv, cwd=setup.checkout, capture_output=True, check=False)
    if image.compiled.exists():
        shutil.copyfile(image.compiled, commands(folder) / image.compiled.name)


def command(image: Image, setup: Setup, folder: Path, **options: object) -> list[str]:
    """The command that starts the machine prepared in `folder`, but for its serial lines.

    `options` reach init.sh by the kernel's command line. The machine dies with the thread that
    starts it, so nothing stays when the tests are killed.
    """
    options["udev"] = "yes" if setup.udev else "no"
    line = " ".join((*KERNEL_LINE, *(f"vm.{name}={value}" for name, value in options.items())))
    argv = [
        *("setpriv", "--pdeathsig", "KILL", tools.require("qemu-system-x86_64")),
        *("-M", "q35", *ACCELERATORS[setup.accelerator], "-smp", str(setup.processors)),
        *("-m", str(setup.memory), "-nodefaults", "-display", "none", "-no-reboot"),
        *("-kernel", str(image.kernel), "-initrd", str(first(folder)), "-append", line),
        # A user-mode kernel locks what it reads as a whole, which QEMU would take for a writer's lock
        *_disk("vm-root", image.root, "readonly=on,file.locking=off"),
        *_disk("vm-temporary", image.temporary, "snapshot=on,cache=unsafe"),
        *_share("checkout", setup.checkout, ",readonly=on"),
        *_share("scratch", scratch(setup, folder)),
        *_share("commands", commands(folder)),
        *_share("site", Path(sysconfig.get_path("purelib")), ",readonly=on"),
    ]
    for name, path in setup.disks.items():
        argv += _disk(name, path, "cache=writeback")
    for number, medium in enumerate(setup.discs):
        argv += _drive("ide-cd", f"bus=ide.{number}", f"disc{number}", medium, ",readonly=on")
    if setup.floppies:
        argv += ["-device", "isa-fdc"]
    for number, medium in enumerate(setup.floppies):
        argv += _drive("floppy", f"unit={number},drive-type=144", f"floppy{number}", medium)
    return argv


def first(folder: Path) -> Path:
    """Where the first file system lies."""
    return folder / "initrd"


def scripts() -> dict[str, Entry]:
    """The scripts of this checkout that the first file system has beside the image's."""
    here = Path(__file__).parent
    program = stat.S_IFREG | 0o755
    return {
        "init": Entry(program, (here / "early.sh").read_bytes()),
        "init.sh": Entry(program, (here / "init.sh").read_bytes()),
    }


def _disk(name: str, path: Path, options: str) -> list[str]:
    return [
        *("-drive", f"if=none,id={name},format=raw,file={_quoted(path)},discard=unmap,{options}"),
        *("-device", f"virtio-blk-pci,drive={name},serial={name}"),
    ]


def _drive(kind: str, place: str, name: str, medium: Path | None, options: str = "") -> list[str]:
    if medium is None:
        return ["-device", f"{kind},{place}"]
    return [
        *("-drive", f"if=none,id={name},format=raw,file={_quoted(medium)}{options}"),
        *("-device", f"{kind},{place},drive={name}"),
    ]


def _share(tag: str, folder: Path, options: str = "") -> list[str]:
    return [
        "-virtfs",
        f"local,path={_quoted(folder)},mount_tag={tag},security_model=none,multidevs=remap{options}",
    ]


def _quoted(path: Path) -> str:
    """A path as a value among QEMU's options, where a comma is doubled."""
    return str(path).replace(",", ",,")
