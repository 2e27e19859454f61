"""Keeps the program in memory in the test machine, where starting Python is what takes time.

    python3 -m tests.vm.warm FOLDER PACKAGE...

`salvage` beside this file is what calls it: it writes its process number, the module whose `main` is wanted
and the arguments to FOLDER/door, each ended by a zero byte and all by one more, and reads the exit status
from FOLDER/NUMBER. A fork does the work, with that process's own folder, environment and standard streams;
it writes its own process number to the file that WORKER in the environment names, if any.
"""

import ctypes
import gc
import os
import pkgutil
import signal
import sys
from importlib import import_module
from pathlib import Path

_PIDFD_GETFD = 438
"""The number of that system call, see the kernel's arch/x86/entry/syscalls/syscall_64.tbl."""


def preload(packages: list[str]) -> None:
    """Import what may be wanted; what is there then need not be copied for the garbage collector."""
    import_module("tui.main")
    for package in packages:
        path = import_module(package).__path__
        for module in pkgutil.walk_packages(path, f"{package}."):
            if not module.name.startswith("core.lab"):
                import_module(module.name)
    gc.collect()
    gc.freeze()


def become(caller: int) -> None:
    """Take over the streams, the folder and the environment of another process."""
    descriptor = os.pidfd_open(caller)
    for stream in (0, 1, 2):
        taken = ctypes.CDLL(None, use_errno=True).syscall(_PIDFD_GETFD, descriptor, stream, 0)
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


def answer(folder: Path, message: bytes) -> None:
    """Do what one message asks for, and tell how it ended."""
    number, module, *arguments = map(os.fsdecode, message.split(b"\0"))
    caller = int(number)
    worker = os.fork()
    if not worker:
        os.setsid()
        os._exit(work(caller, module, arguments))
    status = os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])
    with (folder / str(caller)).open("w") as reply:
        print(status if status >= 0 else 128 - status, file=reply)


def serve(folder: Path, packages: list[str]) -> None:
    """Answer messages until the machine ends."""
    preload(packages)
    os.chdir("/")
    os.mkfifo(folder / "new")
    (folder / "new").rename(folder / "door")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    door, pending = os.open(folder / "door", os.O_RDWR), b""
    while True:
        pending += os.read(door, 1 << 16)
        while b"\0\0" in pending:
            message, _end, pending = pending.partition(b"\0\0")
            if not os.fork():
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                os.close(door)
                answer(folder, message)
                os._exit(0)


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.argv[2:])
