"""Every sentence meant for a person goes through here.

Write `_("Cannot read {path}.").format(path=safe(path))`: the message is a constant that translators
see whole, and the values are put in afterwards.
"""

import gettext
import os
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

DOMAIN = "virt-salvage"
LOCALE_DIR = Path(__file__).parent / "locale"

_WIDE_ENDS = frozenset("。！？；：")

_catalogue: gettext.NullTranslations = gettext.NullTranslations()


def use_language(code: str | None = None) -> None:
    """Choose the language of all later messages.

    `code` is a locale name such as ``zh_CN``; None takes it from the environment
    (LANGUAGE, LC_ALL, LC_MESSAGES, LANG, as in gettext(3)). A language without a
    catalogue falls back to English.
    """
    global _catalogue
    languages = [code] if code else None
    if code:
        os.environ["LANGUAGE"] = code  # for what the standard library says: argparse asks gettext itself
    gettext.bindtextdomain(DOMAIN, str(LOCALE_DIR))
    gettext.textdomain(DOMAIN)
    _catalogue = gettext.translation(DOMAIN, LOCALE_DIR, languages=languages, fallback=True)


def language() -> str:
    """The language of the messages as a document names it (BCP 47): ``en``, ``zh-CN``."""
    return _catalogue.info().get("language", "en").replace("_", "-")


def _(message: str) -> str:
    """The message in the person's language."""
    return _catalogue.gettext(message)


def again(sentence: str) -> str:
    """A sentence that was written down in the language of then, in the one that is spoken now.

    One with values in it stays as it is: which message it was cannot be told.
    """
    if not sentence:
        return sentence
    return _(sentence if sentence.isascii() else _messages().get(sentence, sentence))


@lru_cache(maxsize=1)
def _messages() -> dict[str, str]:
    """Our messages by what the catalogues make of them."""
    known: dict[str, str] = {}
    for place in LOCALE_DIR.glob(f"*/LC_MESSAGES/{DOMAIN}.mo"):
        with open(place, "rb") as file:
            made = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
        known |= {text: message for message, text in made.items() if isinstance(message, str)}
    return known


def N_(message: str) -> str:
    """Mark a message for translation where it stands in a table; `_()` translates it when shown."""
    return message


def listed(parts: Iterable[str]) -> str:
    """What there is of the parts, in a row as the language writes it."""
    return _(", ").join(part for part in parts if part)


def enumerated(names: Iterable[str]) -> str:
    """Things of one kind, in a row as the language writes it."""
    return _("{one}, {another}").format(one="", another="").join(name for name in names if name)


def all_of(names: Sequence[str]) -> str:
    """All of them, with the word of the language before the last."""
    *before, last = names or [""]
    return _("{some} and {last}").format(some=enumerated(before), last=last) if before else last


def titled(title: str, text: str) -> str:
    """A word and what is told of it, with the colon of the language."""
    return _("{title}: {text}").format(title=title, text=text)


def bracketed(text: str) -> str:
    """The text in the brackets of the language."""
    return _("({text})").format(text=text)


def noted(text: str, note: str) -> str:
    """A text and what is told beside it, in the brackets of the language; the text alone without a note."""
    return _("{text} ({note})").format(text=text, note=note) if note else text


def sentences(parts: Iterable[str]) -> str:
    """What there is of the sentences, one after the other; behind a full stop of two columns is no space."""
    told = ""
    for part in filter(None, parts):
        told += part if not told or told[-1] in _WIDE_ENDS else f" {part}"
    return told


def ngettext(one: str, many: str, count: int) -> str:
    """The message for `count` things, in the grammar of the person's language."""
    return _catalogue.ngettext(one, many, count)


ARGPARSE = (
    N_("usage: "),
    N_("positional arguments"),
    N_("options"),
    N_("show this help message and exit"),
    N_("show program's version number and exit"),
    N_("the following arguments are required: %s"),
    N_("unrecognized arguments: %s"),
    N_("expected one argument"),
    N_("invalid choice: %(value)r (choose from %(choices)s)"),
)
"""What argparse of the standard library says to a person."""
