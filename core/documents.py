"""JSON that every reader takes: no character that a terminal obeys, and none that no encoding has."""

import json
import os
from collections.abc import Mapping


def json_text(value: object, indent: int) -> str:
    """`value` as one JSON document in printable ASCII.

    A byte that is no UTF-8 (a lone surrogate, PEP 383) becomes a visible ``\\xNN``: RFC 8259, 8.2 leaves
    open what a reader does with half a pair, and some refuse the whole document. Anything that JSON does not
    know is told as text.
    """
    # DEL is the one control character that json leaves as it is
    return json.dumps(_plain(value), indent=indent).replace("\x7f", "\\u007f")


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {_text(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner) for inner in value]
    return _text(value)


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    text = str(value)
    try:
        return os.fsencode(text).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # a surrogate that stands for no byte
        return text.encode("utf-8", "backslashreplace").decode("utf-8")
