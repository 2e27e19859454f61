"""A passphrase is handed on by a pipe and shown nowhere."""

import os
import pickle
import traceback
from pathlib import Path

import pytest

from core.errors import SalvageError, WrongUsage
from core.secrets import LONGEST, Secret


def test_it_does_not_print(tmp_path: Path) -> None:
    secret = Secret(b"hush-hush")
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    try:
        raise ValueError(secret)
    except ValueError as error:
        told = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    for text in (repr(secret), str(secret), f"{secret}", f"{[secret]}", f"{secret!a}", told):
        assert "hush" not in text


def test_one_program_reads_it_once() -> None:
    with Secret.typed("pä\udcff").handed() as pipe:
        assert os.read(pipe, 100) == "pä".encode() + b"\xff"
        assert os.read(pipe, 100) == b""
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(pipe)


def test_from_a_file_without_its_last_newline(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"two\nlines\n\n")
    with Secret.from_file(path).handed() as pipe:
        assert os.read(pipe, 100) == b"two\nlines\n"
    with Secret(b"x" * LONGEST).handed() as pipe:
        assert len(os.read(pipe, LONGEST)) == LONGEST


def test_what_is_no_passphrase_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"\n")
    (tmp_path / "long").write_bytes(b"x" * (LONGEST + 1))
    for name, word in (("empty", "empty"), ("long", "longer")):
        with pytest.raises(WrongUsage, match=word):
            Secret.from_file(tmp_path / name)
    for place in (tmp_path / "none", tmp_path, 12345, -1, 1 << 40):
        with pytest.raises(SalvageError, match="cannot be read"):
            Secret.from_file(place)
