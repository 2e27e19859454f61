"""A machine is killed while it writes, and what it had saved comes back; the long run is `tests.vm.crash`."""

from pathlib import Path

import pytest

from core.errors import ToolMissing
from tests.conftest import Guard, needs_root

from . import crash
from .build import ImageMissing, build
from .machine import accelerator
from .victim import machine
from .victim.machine import Victim

pytestmark = [needs_root, pytest.mark.long(120)]


@pytest.fixture(scope="module")
def victim() -> Victim:
    try:
        return machine.build(build())
    except (ToolMissing, ImageMissing) as error:
        pytest.skip(error.paragraph())


@pytest.mark.parametrize(("seed", "volumes"), [(100, ("1", "3", "guest/data")), (101, ("2", "guest/db"))])
def test_what_a_killed_machine_had_saved_comes_back(
    seed: int, volumes: tuple[str, ...], victim: Victim, tmp_path: Path, guard: Guard
) -> None:
    one = crash.crash(victim, seed, tmp_path, accelerator(victim.image), volumes, longest=6.0)
    told = "\n".join(crash.line(one))
    assert one.death.steps > 10, told
    assert one.whole, told
    assert all(place.verdict == "sound" for place in one.places), told
    # what the journal is for: without it something of what was saved is not seen
    assert any(place.left.wrong for place in one.places), told
    assert all(place.differences for place in one.places if place.left.wrong), told
