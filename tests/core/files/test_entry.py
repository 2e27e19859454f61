import base64
from datetime import datetime, timedelta

import pytest

from core.files.entry import Entry, iso_time


@pytest.mark.parametrize(
    "seconds", [0, 951782400, 951868799, 4107542400, -2208988800, -62135596800, 253402300799]
)
def test_times_agree_with_datetime_where_it_reaches(seconds: int) -> None:
    moment = datetime(1970, 1, 1) + timedelta(seconds=seconds)
    assert iso_time(seconds * 10**9) == moment.isoformat() + "Z"


def test_every_day_of_eight_centuries_is_the_calendar_s() -> None:
    for day in range(-200000, 100000, 37):
        assert iso_time(day * 86400 * 10**9)[:10] == datetime.fromordinal(719163 + day).strftime(
            "%Y-%m-%d"
        ).rjust(10, "0")


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (1, "1970-01-01T00:00:00.000000001Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (2**63 * 10**9, "+292277026596-12-04T15:30:08Z"),
        (-(2**63) * 10**9, "-292277022657-01-27T08:29:52Z"),
        (-62167219200 * 10**9 - 10**9, "-0001-12-31T23:59:59Z"),
    ],
)
def test_far_off_times_are_told(nanoseconds: int, text: str) -> None:
    assert iso_time(nanoseconds) == text


def test_json_of_a_name_that_is_no_utf8() -> None:
    entry = Entry(b"\xffx", "symlink", mode=0o4755, target=b"\xfe")
    told = entry.to_json()
    assert told["name"] == "\ufffdx"
    assert base64.b64decode(str(told["name_b64"])) == b"\xffx"
    assert base64.b64decode(str(told["target_b64"])) == b"\xfe"
    assert told["mode"] == "4755"


def test_json_has_the_fields_of_the_contract() -> None:
    told = Entry("Umlaut ä".encode(), "file", 7, 0o644, 1, 2, 0).to_json()
    assert told == {
        "name": "Umlaut ä",
        "kind": "file",
        "size": 7,
        "mode": "0644",
        "uid": 1,
        "gid": 2,
        "mtime": "1970-01-01T00:00:00Z",
        "target": None,
    }
