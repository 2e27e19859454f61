"""How the chosen volume is opened: only for this program, or mounted in everybody's sight."""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.widgets import OptionList, Static

from core.errors import Refused, SalvageError
from core.i18n import _, sentences
from core.session import Session
from core.text import size
from core.volumes import kpartx, nbd
from core.volumes.checkers import CHECKERS
from core.volumes.filesystems import FILE_SYSTEMS, only_read
from core.volumes.model import Volume
from core.volumes.mounting import Way
from core.volumes.state import State
from tui import plans
from tui.chosen import Protection
from tui.openable import content
from tui.plain import plain
from tui.screens.check import CheckScreen
from tui.screens.files import FilesScreen
from tui.screens.menu import Choice, Menu
from tui.screens.sight import SightFrame
from tui.screens.step import Key
from tui.screens.subvolumes import SubvolumesScreen
from tui.screens.trouble import Remedy, TroubleScreen


class VolumeScreen(SightFrame):
    """Browse and copy, or mount at a folder."""

    topic: ClassVar[str] = "volume"
    step: ClassVar[int] = 3

    def __init__(self, volume: Volume) -> None:
        super().__init__()
        self.volume = volume

    def body(self) -> ComposeResult:
        volume = self.volume
        told = _("{title}: {content}, {size}, begins at byte {offset}")
        if volume.apart:
            told = _("{title}: {content}, {size}, put together first")
        told = told.format(
            title=volume.title[:1].upper() + volume.title[1:],
            content=content(volume),
            size=size(volume.size),
            offset=volume.offset,
        )
        yield Static(plain(told), classes="said")
        if volume.pending:
            left = _("It was not unmounted, as after a crash: its last changes may be in its journal only.")
            yield Static(plain(left), classes="warning")
        if volume.lacking:
            yield Static(plain(volume.lacking), classes="warning")
        yield Static(_("What shall be done with it?"), classes="question", markup=False)
        yield Menu(self._choices())

    def _choices(self) -> list[Choice]:
        no_root = "" if os.geteuid() == 0 else _("Mounting needs root: start again with sudo.")
        no_kpartx, no_nbd = self._no_other_way()
        number = self.volume.partition.number if self.volume.partition else 1
        inside = Choice(
            "subvolume",
            _("A subvolume or snapshot of it"),
            _("Lists what this btrfs holds, and opens one."),
            no_root,
        )
        return [
            *self._to_browse(no_root),
            *([inside] if self.volume.content == "btrfs" else ()),
            Choice(
                "kpartx",
                _("Browse and copy files, by kpartx"),
                _("All partitions are mapped at once, as /dev/mapper/loop0p{number}.").format(number=number),
                no_kpartx or no_root,
            ),
            Choice(
                "nbd",
                _("Browse and copy files, by nbd"),
                _("The whole disk as /dev/nbd0, this as /dev/nbd0p{number}, in everybody's sight.").format(
                    number=number
                )
                if self.volume.partition
                else _("The whole disk as /dev/nbd0, in everybody's sight."),
                no_nbd or no_root,
            ),
            Choice(
                "sight",
                _("Mount it at a folder, read only"),
                _("For other tools: everybody sees it, and it stays when this program ends."),
                no_root,
            ),
            Choice(
                "writable",
                _("Mount it at a folder, for writing"),
                _("As above; every write lands in an overlay, never in the disk."),
                no_root or self._no_writing(),
            ),
            Choice(
                "check",
                _("Check whether it is sound"),
                _("Without writing to the disk. A repair is made in an overlay only."),
                no_root or self._no_check(),
            ),
        ]

    def _to_browse(self, no_root: str) -> list[Choice]:
        """With and without the journal, what is advised first; over an overlay there is no choice."""
        replayed = Choice(
            "replayed",
            _("Browse and copy files, with the journal replayed (after a crash)"),
            _("In a throw-away overlay: what was only in the journal is seen too."),
            no_root or self._no_journal(),
        )
        crashed = self.volume.pending and not replayed.reason
        usual = _("Browse and copy files (the usual way)")
        if crashed:
            usual = _("Browse and copy files, without what is in the journal")
            title = _("Browse and copy files, with the journal replayed (recommended)")
            replayed = replace(replayed, title=title)
        mounted = _("A loop device with offset, mounted where only this program sees it.")
        if self.volume.apart:
            mounted = _("Put together first, then mounted where only this program sees it.")
        replays = self.flow.protection is Protection.OVERLAY and crashed
        if replays:
            usual = _("Browse and copy files, with the journal replayed (the usual way)")
            mounted = sentences((mounted, _("The overlay takes what its journal brings.")))
        loop = Choice("loop", usual, mounted, no_root)
        both = [replayed, loop] if crashed else [loop, replayed]
        return [loop] if replays else both

    def _no_other_way(self) -> tuple[str, str]:
        """Why kpartx and nbd cannot be gone here; empty where they can."""
        known = self.flow.inspection
        no_kpartx = no_nbd = ""
        if known:
            no_kpartx = kpartx.problem(known.table, known.volumes) or ""
            no_nbd = nbd.problem(known.table, known.volumes) or ""
        if self.volume.partition is None:
            no_kpartx = _("kpartx maps partitions, and this is none.")
        if self.volume.apart:
            no_nbd = _("Only for partitions as they lie on the disk: this is put together first.")
        return no_kpartx, no_nbd

    def _no_writing(self) -> str:
        """Why it cannot be mounted for writing as the disk is protected now; empty where it can."""
        # what an overlay does not help is told first: nobody shall go back for nothing
        if (reason := only_read(self.volume.content)) or self.flow.protection is Protection.OVERLAY:
            return reason
        return _("Only with an overlay: go back to Protect and choose it.")

    def _no_check(self) -> str:
        """Why it cannot be checked; empty where it can, or where that is not known yet."""
        if not self.volume.content or self.volume.content in CHECKERS:
            return ""
        told = _("There is no check for {content}: that its files can be read is the proof. Copy them.")
        return told.format(content=content(self.volume))

    def _no_journal(self) -> str:
        """Why there is no journal to carry out; empty when there is one."""
        if self.volume.seen_when_opened:
            return ""
        system = FILE_SYSTEMS.get(self.volume.content or "")
        # ext2 shares its driver with ext4, but never has a journal
        if system is None or system.replayed is None or self.volume.content == "ext2":
            return _("It has no journal that this host could carry out.")
        return "" if self.volume.pending else _("It was cleanly unmounted: nothing is left in its journal.")

    def about(self) -> Volume | None:
        return self.volume

    def keys(self) -> list[Key]:
        return [("↑↓", _("move")), ("Enter", _("choose")), ("Esc", _("another partition"))]

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(Menu).focus()

    def plan(self) -> Callable[[Session], None]:
        chosen = self.query_one(Menu).highlighted_option
        picked = chosen.id if chosen else "loop"
        if picked in ("sight", "writable"):
            point = self.point
            return plans.opening(self.flow, self.volume, point, writable=picked == "writable")
        if picked == "check":
            return plans.checking(self.flow, self.volume, State.LEFT)
        state = State.REPLAYED if picked == "replayed" else State.LEFT
        return plans.opening(self.flow, self.volume, way=_way(picked), state=state)

    def plan_told(self) -> str:
        return _("To do what is highlighted, from the disk on:")

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        if event.option.id in ("sight", "writable"):
            self.ask_point(self.volume, writable=event.option.id == "writable")
        elif event.option.id == "check":
            self.app.push_screen(CheckScreen(self.volume))
        elif event.option.id == "subvolume":
            self.app.push_screen(SubvolumesScreen(self.volume))
        elif event.option.id == "replayed":
            self._open("loop", State.REPLAYED)
        else:
            self._open(_way(event.option.id))

    # -- only for this program -----------------------------------------------------------------

    def _open(self, way: Way, state: State = State.LEFT) -> None:
        self.work(
            _("Mounting."),
            lambda: self.flow.do_open(self.volume, way, state=state),
            self._opened,
            self._not_opened,
        )

    def _opened(self, _volume: Volume) -> None:
        self.app.push_screen(FilesScreen())

    def _not_opened(self, error: SalvageError) -> None:
        overlay = self.flow.protection is Protection.OVERLAY
        if isinstance(error, Refused) and overlay:
            again = Remedy(_("Open the disk read only instead"), self._read_only)
            self.app.push_screen(TroubleScreen(error, [again]))
        else:
            self.trouble(error, lambda: self._open("loop", State.REPLAYED))

    def _read_only(self) -> None:
        self.work(
            _("Attaching the disk read only."),
            lambda: self.flow.do_inspect(Protection.READ),
            lambda _inspection: self._open("loop"),
        )


def _way(picked: str | None) -> Way:
    return "kpartx" if picked == "kpartx" else "nbd" if picked == "nbd" else "loop"
