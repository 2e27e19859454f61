"""Starts the program many times with one start of the interpreter.

A process that has imported all of it forks for each call; the fork gets the call's arguments, folder,
environment and streams, and ends as an interpreter ends. What an interpreter does of its own at its start,
and what depends on how a process is named, is not tested by this: `Starter.suits` tells what is.
"""

import json
import os
import pkgutil
import re
import select
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import core
import tui.cli

_ROOT = Path(__file__).parents[1]
_READ_AT_START = re.compile("LANG|LC_|PYTHON")
"""Variables that the interpreter itself reads when it starts."""
_IN_CHILDREN = frozenset({"core.tables.libparted"})
"""Modules that the program never imports itself: they run in processes of their own."""


class Ended(NamedTuple):
    """How a call ended."""

    status: int
    """-N for a signal."""
    out: bytes
    err: bytes


class Starter:
    """The process that forks, while the context is entered."""

    def __enter__(self) -> Self:
        self._environment = dict(os.environ)
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            number = theirs.fileno()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.starter", str(number)],
                cwd=_ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[number],
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ours.close()
        self._process.wait()

    def suits(self, environment: Mapping[str, str]) -> bool:
        """Whether an interpreter that starts with these variables is like the one that has started."""
        return all(
            environment.get(name) == self._environment.get(name)
            for name in environment.keys() | self._environment.keys()
            if _READ_AT_START.match(name)
        )

    def call(self, arguments: Sequence[str], timeout: float) -> Ended:
        """Call the program here and now; raises subprocess.TimeoutExpired."""
        os.umask(mask := os.umask(0))
        asked = json.dumps([arguments, os.getcwd(), dict(os.environ), mask]).encode()
        deadline = time.monotonic() + timeout
        told, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pipes = [os.pipe(), os.pipe()]
        with theirs:
            socket.send_fds(self._ours, [asked], [theirs.fileno(), *(end for _start, end in pipes)])
        for _start, end in pipes:
            os.close(end)
        with told, selectors.DefaultSelector() as selector:
            said = {start: b"" for start, _end in pipes}
            for start in said:
                selector.register(start, selectors.EVENT_READ)
            pid = int(told.recv(64))
            while selector.get_map():
                ready = selector.select(max(0.0, deadline - time.monotonic()))
                if not ready:
                    os.kill(pid, signal.SIGKILL)
                    raise subprocess.TimeoutExpired(list(arguments), timeout)
                for key, _events in ready:
                    block = os.read(key.fd, 1 << 16)
                    said[key.fd] += block
                    if not block:
                        selector.unregister(key.fd)
                        os.close(key.fd)
            status = int(told.recv(64))
        out, err = said.values()
        return Ended(status, out, err)


def load() -> None:
    """Import what the program imports when it comes to it: else each forked process would, again."""
    for package in (core, tui.cli):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if found.name not in _IN_CHILDREN:
                import_module(found.name)
    import_module("markdown_it")


def _serve(asking: socket.socket) -> None:
    """Fork for each call until nobody asks any more; a fork comes back from here, to be the program."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    running: dict[int, tuple[int, socket.socket]] = {}
    """By a descriptor of the process: its number, and who waits for its end."""
    while True:
        watched: list[socket.socket | int] = [asking, *running]
        for ready in select.select(watched, [], [])[0]:
            if isinstance(ready, int):
                pid, waiting = running.pop(ready)
                os.close(ready)
                with waiting:
                    _tell(waiting, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                continue
            asked, descriptors, _flags, _from = socket.recv_fds(asking, 1 << 20, 3)
            if not asked:
                sys.exit()
            pid = os.fork()
            if pid == 0:
                for one, (_pid, other) in running.items():
                    os.close(one)
                    other.close()
                asking.close()
                _become(asked, descriptors)
                return
            for stream in descriptors[1:]:
                os.close(stream)
            waiting = socket.socket(fileno=descriptors[0])
            running[os.pidfd_open(pid)] = (pid, waiting)
            _tell(waiting, pid)


def _tell(waiting: socket.socket, number: int) -> None:
    try:
        waiting.send(str(number).encode())
    except BrokenPipeError:
        return  # it took too long, and nobody waits any more


def _become(asked: bytes, descriptors: Sequence[int]) -> None:
    """Make a forked process what a new one would be."""
    arguments, folder, environment, mask = json.loads(asked)
    waiting, *streams = descriptors
    os.close(waiting)
    for number, stream in enumerate(streams, start=1):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(folder)
    os.umask(mask)
    sys.argv[1:] = arguments
    signal.signal(signal.SIGINT, signal.default_int_handler)


if __name__ == "__main__":
    from tests.conftest import unhurried
    from tui.main import main

    load()
    unhurried()
    _serve(socket.socket(fileno=int(sys.argv[1])))
    sys.exit(main())
