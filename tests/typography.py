"""How Chinese is set: what stands beside a Chinese character, checked by machine.

Punctuation is as wide as the characters, and no space stands between them and Latin letters or figures.
"""

import re

_HAN = r"[\u3400-\u9fff]"
_WIDE = "[，。；：！？、（）“”]"
_RULES = {
    "a space before a Chinese character": rf"[A-Za-z0-9`}}%/↑↓] {_HAN}|{_HAN} {_HAN}",
    "a space behind a Chinese character": rf"{_HAN} [A-Za-z0-9`{{%/↑↓]",
    "a space beside a wide mark": rf"(?<=\S) {_WIDE}|{_WIDE} (?=\S)",
    "a narrow comma, semicolon or exclamation mark": rf"{_HAN}[,;!]|[,;!] ?{_HAN}",
    "a narrow colon": rf"{_HAN}:(?!//)|(?<![A-Za-z]): ?{_HAN}|[A-Za-z]: {_HAN}",
    "a narrow question mark": rf"{_HAN}\?(?![a-z])|[A-Za-z0-9}}]\?{_HAN}",
    "a narrow bracket": rf"{_HAN}\(|\){_HAN}|\({_HAN}|{_HAN}\)",
    "a narrow full stop": rf"{_HAN}\.(?![a-z*.])",
}
_MANUAL_PAGE = re.compile(r"(?<=\w)\(\d\)")
"""``mount(8)`` is the name of a page, as it stands in its heading."""
_ENDS = "。？！：…”）}"


def mistakes(message: str, text: str) -> list[str]:
    """What of a Chinese text is set otherwise than it should be."""
    bare = _MANUAL_PAGE.sub("", text)
    found = [f"{told}: {hit[0]!r}" for told, rule in _RULES.items() for hit in re.finditer(rule, bare)]
    if re.search(_HAN, text):
        if (
            " " in message
            and message.endswith((".", "?", "!"))
            and not message.endswith("...")
            and text[-1] not in _ENDS
        ):
            found.append("no full stop")
        if message[-1:].isalpha() and text.endswith("。"):
            found.append("a full stop where there is none")
    return found
