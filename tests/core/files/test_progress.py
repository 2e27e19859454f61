"""What a copy tells while it goes on."""

import time

import pytest

from core.files.progress import Meter, Progress

pytestmark = pytest.mark.usefixtures("clock")

SMALL, LARGE, LARGE_SIZE = 3000, 14, 100 << 20


class Clock:
    """Goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture(name="clock")
def _clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock.monotonic)
    return clock


def test_small_files_first_do_not_promise_days_for_the_large_ones(clock: Clock) -> None:
    """A thousand files a second of five bytes each, then 100 MiB a second: 17 seconds, and never hours."""
    seen: list[Progress] = []
    meter = Meter(seen.append, SMALL + LARGE, SMALL * 5 + LARGE * LARGE_SIZE)
    began, off = clock.now, []

    def note() -> None:
        whole = SMALL / 1000 + LARGE
        if seen and seen[-1].seconds_left is not None:
            off.append(seen[-1].seconds_left - (whole - (clock.now - began)))

    for _file in range(SMALL):
        meter.begin(b"small", 5)
        clock.now += 0.001
        meter.add(5)
        meter.end()
        note()
    for _file in range(LARGE):
        meter.begin(b"large", LARGE_SIZE)
        for _piece in range(100):
            clock.now += 0.01
            meter.add(1 << 20)
            note()
        meter.end()
    meter.finish()
    assert max(abs(error) for error in off) < 15
    assert (seen[-1].bytes_done, seen[-1].files_done) == (SMALL * 5 + LARGE * LARGE_SIZE, SMALL + LARGE)
    assert seen[-1].seconds_left is None, "all is done"


def test_links_count_for_the_time_left(clock: Clock) -> None:
    seen: list[Progress] = []
    meter = Meter(seen.append, 1, 5, 99)
    for _link in range(50):
        meter.begin(b"link", 0)
        clock.now += 0.1
        meter.end(file=False)
    assert seen[-1].files_done == 0
    assert seen[-1].seconds_left == pytest.approx(5, rel=0.2)


def test_the_rate_is_of_bytes_alone(clock: Clock) -> None:
    seen: list[Progress] = []
    meter = Meter(seen.append, 100, 1000)
    for _file in range(50):
        meter.begin(b"small", 10)
        clock.now += 0.1
        meter.add(10)
        meter.end()
    assert seen[-1].rate == pytest.approx(100)
    assert seen[-1].seconds_left == pytest.approx(5, rel=0.2)


def test_very_many_empty_files_are_not_done_with_the_last_byte(clock: Clock) -> None:
    """300 MiB in 1.5 seconds, then 200,000 empty files in 20: neither full nor fast before the end."""
    large, empty, quick = 3, 200_000, 10_000
    seen: list[Progress] = []
    meter = Meter(seen.append, large + empty, large * LARGE_SIZE)
    for _file in range(large):
        meter.begin(b"large", LARGE_SIZE)
        for _piece in range(100):
            clock.now += 0.005
            meter.add(1 << 20)
        meter.end()
    then = clock.now
    for _file in range(empty):
        meter.begin(b"empty", 0)
        clock.now += 1 / quick
        meter.end()
        if seen[-1].bytes_done == large * LARGE_SIZE:
            passed = clock.now - then
            told = seen[-1]
            assert told.fraction is not None and told.fraction < 1
            assert passed > 15 or told.fraction < 0.9
            if 5 < passed < 19.5:
                assert told.rate == pytest.approx(0, abs=1)
                assert told.seconds_left == pytest.approx(20 - passed, abs=2)
    meter.report()
    assert seen[-1].fraction is not None and seen[-1].fraction < 1, "it is still read back and flushed"
    assert seen[-1].seconds_left is None
    meter.finish()
    assert seen[-1].fraction == 1


def test_holes_are_passed_without_a_rate(clock: Clock) -> None:
    seen: list[Progress] = []
    meter = Meter(seen.append, 1, 10 << 30)
    meter.begin(b"disk", 10 << 30)
    for piece in range(100):
        clock.now += 0.1
        meter.add(1 << 20 if piece % 2 else 100 << 20, moved=bool(piece % 2))
    assert seen[-1].rate == pytest.approx(5 << 20, rel=0.1)
    assert seen[-1].bytes_done == 50 * (101 << 20)


def test_what_is_only_reckoned_has_no_rate(clock: Clock) -> None:
    seen: list[Progress] = []
    meter = Meter(seen.append, 1, 100, phase="Comparing", rated=False)
    clock.now += 1
    meter.add(50)
    assert (seen[-1].rate, seen[-1].phase) == (None, "Comparing")
