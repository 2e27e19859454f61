"""Keeps the program in memory in the test machine, where starting Python is what takes time.

    python3 -m tests.vm.warm FOLDER

`salvage` beside this file is what calls it: it writes its process number, the module whose `main` is wanted
and the arguments to FOLDER/door, each ended by a zero byte and all by one more, and reads the exit status
from FOLDER/NUMBER. A fork does the work, with that process's own folder, environment and standard streams;
it writes its own process number to the file that WORKER in the environment names, if any.
"""

import ctypes
import gc
import os
import pkgutil
import select
import signal
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path

_PIDFD_GETFD = 438
"""The number of that system call, see the kernel's arch/x86/entry/syscalls/syscall_64.tbl."""

_INPUT = 8
"""Where `salvage` has its standard input: a shell that waits for the answer has that in its place."""


def preload() -> None:
    """Import what any verb may import; what is there then need not be copied for the garbage collector.

    Not the wizard: each call forks, which takes the longer the more is in memory.
    """
    import_module("tui.main")
    for package in ("core", "tui.cli"):
        path = import_module(package).__path__
        for module in pkgutil.walk_packages(path, f"{package}."):
            if not module.name.startswith("core.lab"):
                import_module(module.name)
    gc.collect()
    gc.freeze()


def become(caller: int) -> None:
    """Take over the streams, the folder and the environment of another process."""
    descriptor = os.pidfd_open(caller)
    for stream, theirs in enumerate((_INPUT, 1, 2)):
        taken = ctypes.CDLL(None, use_errno=True).syscall(_PIDFD_GETFD, descriptor, theirs, 0)
        if taken < 0:
            raise OSError(ctypes.get_errno(), "pidfd_getfd")
        os.dup2(taken, stream)
        os.close(taken)
    os.close(descriptor)
    os.chdir(f"/proc/{caller}/cwd")
    words = Path(f"/proc/{caller}/environ").read_bytes().rstrip(b"\0").split(b"\0")
    os.environb.clear()
    os.environb.update(word.split(b"=", 1) for word in words if b"=" in word)


def work(caller: int, module: str, arguments: list[str]) -> int:
    """The exit status, all that was said written out."""
    become(caller)
    if told := os.environ.get("WORKER"):
        Path(told).write_text(str(os.getpid()))
    try:
        status: int = import_module(module).main(arguments)
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    sys.stdout.flush()
    sys.stderr.flush()
    return status


def begun(message: bytes, door: int) -> tuple[int, int]:
    """Begin what one message asks for: the number of the process that does it, and of its caller."""
    number, module, *arguments = map(os.fsdecode, message.split(b"\0"))
    caller = int(number)
    worker = os.fork()
    if not worker:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.close(door)
        os.setsid()
        os._exit(work(caller, module, arguments))
    return worker, caller


def tell(folder: Path, callers: dict[int, int]) -> None:
    """Tell the callers of all that has ended how it did; one that is gone itself misses nothing."""
    while callers:
        worker, ended = os.waitpid(-1, os.WNOHANG)
        if not worker:
            return
        status = os.waitstatus_to_exitcode(ended)
        with suppress(OSError):
            reply = os.open(folder / str(callers.pop(worker)), os.O_WRONLY | os.O_NONBLOCK)
            os.write(reply, b"%d\n" % (status if status >= 0 else 128 - status))
            os.close(reply)


def serve(folder: Path) -> None:
    """Answer messages until the machine ends."""
    preload()
    os.chdir("/")
    os.mkfifo(folder / "new")
    (folder / "new").rename(folder / "door")
    door, pending, callers = os.open(folder / "door", os.O_RDWR), b"", dict[int, int]()
    ended, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.set_wakeup_fd(woken)
    while True:
        ready, _, _ = select.select([door, ended], [], [])
        if ended in ready:
            os.read(ended, 1 << 10)
            tell(folder, callers)
        if door in ready:
            pending += os.read(door, 1 << 16)
        while b"\0\0" in pending:
            message, _end, pending = pending.partition(b"\0\0")
            worker, caller = begun(message, door)
            callers[worker] = caller


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
