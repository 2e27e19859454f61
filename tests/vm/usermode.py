"""The test machine as a program of this host: User-Mode Linux, see virt/uml in the kernel's documentation.

Its programs run on the processor itself: several times as fast as emulation, and without /dev/kvm. It has
one processor, and its kernel knows neither exFAT nor ntfs3. Paths of what is shared may have no blanks.
"""

import os
import stat
import subprocess
import sysconfig
from pathlib import Path

from core import tools

from .boot import Entry, archive, load_order
from .build import Image
from .qemu import Setup, commands, first, scratch, scripts, share

NAME = "uml"
KERNEL = "linux.uml"
MEMORY = Path("/dev/shm")
"""Where the machine's memory lies; on a disk it would be written out all the time."""
_MODULES = Path("/usr/lib/uml/modules")
_EARLY = ("overlay", "squashfs")
_TEMPORARY = "vm-temporary"


def preferred() -> str:
    """The accelerator of a machine that this kernel is enough for: empty where this host has it not."""
    return NAME if tools.find(KERNEL) and _MODULES.is_dir() else ""


def prepare(image: Image, setup: Setup, folder: Path) -> None:
    """Lay out in `folder` what one machine needs while it runs."""
    share(image, setup, folder)
    first(folder).write_bytes(image.early.read_bytes() + archive({**_modules(), **scripts()}))
    argv = ["cp", "--sparse=always", "--reflink=auto", image.temporary, _temporary(folder)]
    subprocess.run(argv, check=True)


def command(image: Image, setup: Setup, folder: Path, **options: object) -> list[str]:
    """The command that starts the machine prepared in `folder`; it talks by its standard streams.

    `options` reach init.sh by the kernel's command line. The machine and all its processes die with the
    thread that starts it.
    """
    shares = {
        "checkout": setup.checkout,
        "scratch": scratch(setup, folder),
        "commands": commands(folder),
        "site": Path(sysconfig.get_path("purelib")),
    }
    options["udev"] = "yes" if setup.udev else "no"
    options["modules"] = _release()
    options["disks"] = ",".join((_TEMPORARY, *setup.disks))
    options |= {f"share-{tag}": path for tag, path in shares.items()}
    disks = [f"ubd{number}={path}" for number, path in enumerate(setup.disks.values(), start=2)]
    return [
        *("taskset", "--cpu-list", str(_processor())),
        *("setpriv", "--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child"),
        *(tools.require(KERNEL), f"mem={setup.memory}M", f"initrd={first(folder)}", "quiet", "panic=-1"),
        f"uml_dir={folder}/uml/",
        *(f"ubd0r={image.root}", f"ubd1={_temporary(folder)}", *disks),
        *("con=null", "con0=null,fd:2", "ssl=null", "ssl1=fd:0,fd:1"),
        *(f"vm.{name}={value}" for name, value in options.items()),
    ]


def _processor() -> int:
    """The number of the processor that this machine stays on: another one for each worker of the tests.

    Its kernel traces its programs, and each of their system calls hands over from one to the other: that
    takes a fifth less time where both are on the same processor.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    ours = sorted(os.sched_getaffinity(0))
    return ours[int(worker or os.getpid()) % len(ours)]


def _temporary(folder: Path) -> Path:
    return folder / "temporary"


def _release() -> Path:
    """The folder of the kernel's modules."""
    return max(_MODULES.iterdir())


def _modules() -> dict[str, Entry]:
    """What the first file system has to load, in the place of the emulated machine's."""
    folder = _release()
    order = load_order((folder / "modules.dep").read_text(), _EARLY)
    data = stat.S_IFREG | 0o644
    found = {path.rpartition("/")[2]: (folder / path).read_bytes() for path in order}
    listed = "".join(f"{name}\n" for name in found).encode()
    return {
        **{f"modules/{name}": Entry(data, content) for name, content in found.items()},
        "modules/order": Entry(data, listed),
    }
