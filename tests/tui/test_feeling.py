"""The bench of how soon the wizard answers still runs: on little, and whatever it takes."""

from pathlib import Path

from tests.bench.feeling import Answer, huge_folder, long_log, many_images


async def test_every_part_is_measured(tmp_path: Path) -> None:
    told: list[Answer] = []
    for part in (huge_folder(tmp_path, 5000), many_images(2000), long_log(500)):
        told += [answer async for answer in part]
    assert [len(answer.times) > 0 for answer in told] == [True] * len(told)
    assert len(told) == 13
