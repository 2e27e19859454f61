"""A signal that comes when all is up, just before it is left up on purpose: it is taken down."""

from pathlib import Path

import pytest

from core.errors import Cancelled
from core.runner import SystemRunner
from core.session import Session
from core.undo.state import StateFolder
from tests.conftest import Guard, needs_root
from tests.faults.pipelines import Place

pytestmark = needs_root


def test_a_wish_to_stop_comes_before_the_wish_to_keep(tmp_path: Path, guard: Guard) -> None:
    place = Place(tmp_path / "w", 0)
    place.base.mkdir()
    place.make_disks()
    guard.watch(place.disk("raw"))
    runner = SystemRunner()
    with Session(StateFolder(place.state), runner, private=False) as session:
        session.select(str(place.disk("raw")), "raw")
        session.open("disk", place.point)
        runner.cancel.cancel()
        with pytest.raises(Cancelled):
            session.keep()
        runner.cancel.reset()
    assert not place.point.exists()
    assert StateFolder(place.state).known() == []
