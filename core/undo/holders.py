"""Those who keep a thing of ours up: how, by name, and what takes them away."""

from dataclasses import dataclass, field
from enum import Enum

from core.host import Process
from core.i18n import N_, _, noted, sentences
from core.processes import Target
from core.text import quoted, safe
from core.undo.account import Entry

_TOLD = 5
"""How many holders one sentence names."""


class Way(Enum):
    """How something is kept up."""

    WORKS_IN = N_("works in")
    ROOT = N_("has as its root")
    OPEN = N_("has open")
    MAPS = N_("maps")
    BELOW = N_("mounted below it")
    AGAIN = N_("mounted a second time")
    ELSEWHERE = N_("in another mount namespace")
    LOOP = N_("loop device on")
    SWAP = N_("swap on")
    STACKED = N_("block device on")
    WAITS = N_("waits for")


_SENTENCES = {
    Way.WORKS_IN: N_("{who} works in {path}"),
    Way.ROOT: N_("{who} has {path} as its root folder"),
    Way.OPEN: N_("{who} has open {path}"),
    Way.MAPS: N_("{who} maps {path}"),
    Way.BELOW: N_("{who} is mounted below it at {path}"),
    Way.AGAIN: N_("it is mounted a second time at {path}"),
    Way.ELSEWHERE: N_("{who} sees it in another mount namespace at {path}"),
    Way.LOOP: N_("the loop device {who} is on {path}"),
    Way.SWAP: N_("swap is on {path}"),
    Way.STACKED: N_("the block device {who} is on {path}"),
    Way.WAITS: N_(
        "{who} waits for {path} inside the kernel, where nothing can end it; if that lasts, only a restart of"
        " the host frees the device, and `virt-salvage undo` after that clears up the rest"
    ),
}


@dataclass(frozen=True, slots=True)
class Holder:
    """One thing that keeps another one up."""

    way: Way
    path: str
    """The file, folder, mount point or device that is used."""
    process: Process | None = None
    thing: str = ""
    """What holds it where no process does: a loop device, a mapping, the source of a mount."""
    more: int = 0
    """How many other paths the process uses in the same way."""
    is_kin: bool = False
    """Whether it is this program, or what it was started from."""
    thread: int = 0
    """The thread of the process that lives in another mount namespace."""

    @property
    def can_end(self) -> bool:
        """Whether it is a program that may be ended."""
        waits = self.way is Way.WAITS
        return self.process is not None and not waits and not self.is_kin and self.process.pid != 1

    @property
    def sees(self) -> bool:
        """Whether it does nothing but live in another mount namespace, where a copy of the mount is."""
        return self.way is Way.ELSEWHERE

    @property
    def who(self) -> str:
        """The holder by name; of a program with its number and user."""
        if self.process is None:
            return safe(self.thing)
        return _("{program} (pid {pid}, {user})").format(
            program=safe(self.process.program), pid=self.process.pid, user=safe(self.process.user)
        )

    def sentence(self) -> str:
        """Who holds what in which way, without a full stop."""
        told = _(_SENTENCES[self.way]).format(who=self.who, path=safe(self.path))
        if self.more:
            told += _(" and {count} more").format(count=self.more)
        return noted(told, _("this program was started from there") if self.is_kin else "")

    def by_hand(self) -> str:
        """A command that takes away what no process holds; empty for others."""
        point = quoted(self.path)
        if self.way in (Way.BELOW, Way.AGAIN):
            return f"umount {point}"
        if self.sees and self.process:
            return f"nsenter --target {self.thread} --mount umount {point}"
        if self.way is Way.LOOP:
            return f"losetup --detach {quoted(self.thing)}"
        return f"swapoff {point}" if self.way is Way.SWAP else ""

    def to_json(self) -> dict[str, object]:
        who = self.process
        known = {"pid": who.pid, "program": who.program, "user": who.user} if who else {"thing": self.thing}
        return {"how": self.way.value, "path": self.path, **known}


@dataclass(frozen=True, slots=True)
class Held:
    """Who holds something, as far as that can be seen."""

    holders: tuple[Holder, ...] = ()
    unseen: tuple[str, ...] = ()
    """What could not be looked at, a sentence each."""
    target: Target = field(default_factory=Target)
    entry: Entry | None = None
    """What is held."""

    @property
    def programs(self) -> tuple[Holder, ...]:
        """The programs that may be ended, each once."""
        return tuple({one.process: one for one in reversed(self.holders) if one.can_end}.values())[::-1]

    def sentence(self) -> str:
        """All holders and what could not be seen, in sentences; empty when there is nothing to say."""
        told = [one.sentence() for one in self.holders[:_TOLD]]
        rest = len(self.holders) - _TOLD
        if rest > 0:
            told.append(_("and {count} more").format(count=rest))
        held = _("{message}.").format(message=_("; ").join(told)) if told else ""
        return sentences((held, *self.unseen))
