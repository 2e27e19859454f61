"""Builds the test machine, runs a command in it, or opens a shell in it."""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from core.errors import Exit, SalvageError

from .build import Image, build
from .machine import Machine, accelerator
from .qemu import Setup, command, prepare

CHECKOUT = Path(__file__).parents[2]


def main() -> int:
    asked = _arguments().parse_args()
    try:
        image = build()
        if asked.do == "build":
            print(image.folder)
            return Exit.DONE
        setup = Setup(CHECKOUT, asked.scratch, dict(asked.disk), memory=asked.memory, udev=not asked.no_udev)
        if asked.do == "shell":
            return _shell(image, setup)
        with Machine(image, setup) as machine:
            line = asked.command[0] if len(asked.command) == 1 else asked.command
            result = machine.run(line, asked.timeout)
    except SalvageError as error:
        print(error.paragraph(), file=sys.stderr)
        return error.status
    print(result.output, end="")
    return result.status


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.vm", description=__doc__)
    kinds = parser.add_subparsers(dest="do", required=True, metavar="build | run | shell")
    kinds.add_parser("build", help="make the image, if it is not there, and print its folder")
    run = kinds.add_parser("run", help="boot, run a command as root in /checkout, power off")
    shell = kinds.add_parser("shell", help="boot and open a shell; exit powers off, Ctrl-A X pulls the plug")
    for kind in (run, shell):
        kind.add_argument("--scratch", type=_folder, metavar="DIR", help="shared for writing at /scratch")
        kind.add_argument(
            *("--disk", "-d"),
            type=_disk,
            action="append",
            default=[],
            metavar="NAME=FILE",
            help="a raw image at /disks/NAME",
        )
        kind.add_argument("--memory", type=int, default=1024, metavar="MIB")
        kind.add_argument("--no-udev", action="store_true", help="boot without udev")
    run.add_argument("--timeout", type=float, default=300.0, metavar="SECONDS")
    run.add_argument("command", nargs=argparse.REMAINDER, metavar="CMD")
    return parser


def _folder(text: str) -> Path:
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text} is not a folder")
    return Path(text)


def _disk(text: str) -> tuple[str, Path]:
    name, equals, file = text.partition("=")
    if not (name and equals and Path(file).exists()):
        raise argparse.ArgumentTypeError(f"{text} is not NAME=FILE with a file that exists")
    return name, Path(file)


def _shell(image: Image, setup: Setup) -> int:
    """Give this terminal to the machine's first serial line."""
    setup = replace(setup, accelerator=accelerator(image))
    columns, rows = shutil.get_terminal_size()
    with tempfile.TemporaryDirectory(prefix="vm-") as name:
        folder = Path(name)
        prepare(image, setup, folder)
        term = os.environ.get("TERM", "linux")
        argv = command(image, setup, folder, talk="shell", rows=rows, columns=columns, term=term)
        environment = {**os.environ, "TMPDIR": name}
        return subprocess.run([*argv, "-serial", "mon:stdio"], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
