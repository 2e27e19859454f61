"""Modules of this program that run as processes of their own."""

import importlib.util
import os
import sys
from pathlib import Path

import core


def argv(module: str, *arguments: str) -> tuple[str, ...]:
    """The call of a module; without ``-P`` the working folder could stand in for the program."""
    return (sys.executable, "-P", "-m", module, *arguments)


def environment(*libraries: str) -> tuple[tuple[str, str], ...]:
    """Where it finds this program and the libraries, for a child gets nothing of the person's environment."""
    folders = [str(Path(core.__file__).resolve().parent.parent)]
    for found in map(importlib.util.find_spec, libraries):
        if found and found.origin:
            folders.append(str(Path(found.origin).resolve().parent.parent))
    return (("PYTHONPATH", os.pathsep.join(dict.fromkeys(folders))),)
