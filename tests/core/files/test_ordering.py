"""Names in order, however many there are."""

import random

import pytest

from core.files.ordering import is_ordered, ordered


@pytest.mark.parametrize("count", [0, 1, 5, (1 << 15) - 1, 1 << 15, 200_003])
@pytest.mark.parametrize("likeness", [b"", b"the same beginning "])
def test_many_names_come_in_order(count: int, likeness: bytes) -> None:
    names = [likeness + b"%d" % number for number in range(count)]
    for mixed in (names, names[::-1], random.Random(1).sample(names, count)):
        assert ordered(mixed) == sorted(names)
    assert is_ordered(sorted(names))


def test_names_that_are_all_alike_are_in_order() -> None:
    assert ordered([b"x"] * 70_000) == [b"x"] * 70_000


def test_what_is_not_in_order_is_seen() -> None:
    assert is_ordered([])
    assert not is_ordered([b"a", b"c", b"b"])
