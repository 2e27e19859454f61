"""What each step of the road would run, told by the very functions that run it: see `Flow.do_plan`."""

from collections.abc import Callable
from pathlib import Path

from core.disks.naming import Dest
from core.session import Session
from core.volumes.model import Volume
from core.volumes.mounting import Way
from core.volumes.state import State
from tui.chosen import Protection
from tui.flow import Flow

Steps = Callable[[Session], None]


def view(flow: Flow, protection: Protection) -> Steps:
    """The steps from the disk to its raw bytes."""

    def steps(session: Session) -> None:
        _select(flow, session)
        session.protect(overlay=protection is Protection.OVERLAY)
        session.view()

    return steps


def backup(flow: Flow, dest: Dest, *, frozen: bool) -> Steps:
    """The steps from the disk to its backup; with `frozen`, by a snapshot of the logical volume."""

    def steps(session: Session) -> None:
        _select(flow, session)
        session.backup(dest, lambda _progress: None, frozen=frozen)

    return steps


def opening(
    flow: Flow,
    volume: Volume,
    point: Path | None = None,
    *,
    writable: bool | None = None,
    way: Way = "loop",
    state: State = State.LEFT,
    subvolume: str = "",
) -> Steps:
    """The steps from the disk to the mounted volume."""
    protection = flow.protection
    if writable is not None:
        protection = Protection.OVERLAY if writable else Protection.READ

    def steps(session: Session) -> None:
        view(flow, protection)(session)
        if flow.inspection:
            session.know(flow.inspection)
        session.open(volume.id, point, way, state=state, subvolume=subvolume)

    return steps


def checking(flow: Flow, volume: Volume, state: State) -> Steps:
    """The steps from the disk to the check of a volume in that state."""

    def steps(session: Session) -> None:
        view(flow, flow.protection)(session)
        if flow.inspection:
            session.know(flow.inspection)
        session.check(volume.id, state=state)

    return steps


def copying(flow: Flow) -> Steps:
    """The steps from the disk to the copied files."""
    volume, marked, target = flow.volume, flow.marked, flow.target
    way, state, subvolume = flow.opened
    choices = flow.choices

    def steps(session: Session) -> None:
        if volume:
            opening(flow, volume, way=way, state=state, subvolume=subvolume)(session)
        if marked and target:
            session.copy(marked, target, lambda _progress: None, choices)

    return steps


def _select(flow: Flow, session: Session) -> None:
    if flow.wish:
        session.foresee(flow.session.seen() if flow.session else None)
        flow.wish.select(session)
