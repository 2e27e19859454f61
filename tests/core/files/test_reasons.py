"""What a guest's file system answers, in words."""

import errno

from core.files.reasons import meaning, reason


def test_damage_is_called_damage_and_what_helps_is_said() -> None:
    said = meaning(errno.EUCLEAN)
    assert said.startswith("the file system is damaged at this place (Structure needs cleaning)")
    assert "check --repair" in said
    assert "damaged" in meaning(errno.EBADMSG)


def test_what_says_it_itself_stays_as_the_system_has_it() -> None:
    assert meaning(errno.EIO) == "Input/output error"
    assert reason(OSError(errno.EACCES, "")) == "The system says: Permission denied."
    assert meaning(None) == "Success"
