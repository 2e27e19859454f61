"""Which session of this program somebody who holds a disk belongs to: told by the journals."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from core import host, loops
from core.disks.model import Holder
from core.undo.state import Known


class Sessions:
    """The sessions that are known, by the processes, loop devices and mounts that are theirs."""

    def __init__(self, known: Sequence[Known]) -> None:
        self._alive = {one.account.session: one.alive or one.account.kept for one in known}
        self._processes: dict[tuple[int, int], str] = {}
        self._loops: dict[tuple[str, int], str] = {}
        self._mounts: dict[str, str] = {}
        for one in known:
            account = one.account
            if one.alive:
                self._processes[account.pid, account.started] = account.session
            for entry in account.standing:
                if "pid" in entry.identity:
                    key = (entry.identity["pid"], entry.identity.get("started", 0))
                    self._processes[key] = account.session
                if entry.what == "loop":
                    self._loops[entry.target, entry.identity.get("sequence", 0)] = account.session
                elif entry.what == "mount":
                    self._mounts[entry.target] = account.session

    def named(self, holder: Holder) -> Holder:
        """The holder with the session that it belongs to, where it belongs to one."""
        session = self._of_process(holder.pid) if holder.pid else self._of_device(holder)
        if not session:
            return holder
        return replace(holder, session=session, is_alive=self._alive[session])

    def _of_process(self, pid: int) -> str:
        """A program of a session, or one that it started: a tool that ends before the session does."""
        for one in (pid, _parent(pid)):
            if one and (session := self._processes.get((one, host.started(one) or 0))):
                return session
        return ""

    def _of_device(self, holder: Holder) -> str:
        if holder.program == "mount":
            return self._mounts.get(holder.through, "")
        return self._loops.get((holder.program, loops.node_sequence(holder.program)), "")


def _parent(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return 0
    return int(fields[1])
