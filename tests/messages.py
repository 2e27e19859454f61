"""The catalogues of translations: what the sources say, what a catalogue has, and keeping the two together.

python -m tests.messages            what is missing, of each language
python -m tests.messages renew      takes the messages of the sources over, and compiles
python -m tests.messages todo CODE  what is not translated, as JSON: an id, or a list of both numbers
python -m tests.messages fill CODE FILE   takes translations from such a file: {id: translation}
"""

import io
import json
import string
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from core.i18n import DOMAIN, LOCALE_DIR
from core.lab import catalogue as labs
from core.lab.section import Section

TOP = Path(__file__).parent.parent
KEYWORDS = {"_": None, "N_": None, "ngettext": (1, 2)}
LANGUAGES = ("zh_CN",)

Id = str | tuple[str, ...]


class Plain(Catalog):
    """A catalogue whose header tells no dates and no programs, so that the same words are the same file."""

    @property
    def mime_headers(self) -> list[tuple[str, str]]:  # type: ignore[override]
        return [
            ("Project-Id-Version", DOMAIN),
            ("Language", str(self.locale_identifier)),
            ("Plural-Forms", self.plural_forms),
            ("MIME-Version", "1.0"),
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Transfer-Encoding", "8bit"),
        ]


def sources() -> list[Id]:
    """Every message of the sources, in their order; a pair where the number decides."""
    found: dict[Id, None] = {}
    for folder in ("core", "tui"):
        for _file, _line, message, _comments, _context in extract_from_dir(
            TOP / folder, method_map=[("**.py", "python")], keywords=KEYWORDS
        ):
            found[tuple(message) if isinstance(message, tuple | list) else message] = None
    with _told_by_labs() as told:
        labs.built_in.cache_clear()
        labs.built_in()
        found.update(dict.fromkeys(told))
    return [one for one in found if one]


@contextmanager
def _told_by_labs() -> Iterator[list[str]]:
    """What the descriptions of the practice disks say to a person, while they are read."""
    told: list[str] = []
    original = Section.told

    def listening(section: Section, *arguments: str) -> str:
        text = original(section, *arguments)
        told.append(text)
        return text

    with patch.object(Section, "told", listening):
        yield told


def path(code: str, kind: str = "po") -> Path:
    return LOCALE_DIR / code / "LC_MESSAGES" / f"{DOMAIN}.{kind}"


def read(code: str) -> Catalog:
    place = path(code)
    if not place.exists():
        return Catalog(code)
    with open(place, "rb") as file:
        return read_po(file, code, abort_invalid=True)


def entries(catalogue: Catalog) -> dict[Id, Message]:
    return {
        (tuple(one.id) if isinstance(one.id, tuple | list) else one.id): one for one in catalogue if one.id
    }


def translated(message: Message) -> bool:
    """Whether all that it wants is there."""
    return bool(message.string) and all(message.string if isinstance(message.string, tuple) else (1,))


def missing(code: str) -> list[Id]:
    """What the sources say and the catalogue does not have."""
    here = entries(read(code))
    return [one for one in sources() if one not in here or not translated(here[one])]


def unused(code: str) -> list[Id]:
    """What the catalogue has and nobody says any more."""
    wanted = set(sources())
    return [one for one in entries(read(code)) if one not in wanted]


def fields(text: str) -> list[str]:
    """The names in braces that are filled in later, sorted."""
    try:
        return sorted({one[1] for one in string.Formatter().parse(text) if one[1] is not None})
    except ValueError:
        return []  # braces that are no field


def differing(code: str) -> list[Id]:
    """Translations that fill in other things than the message; of a pair, at least what both fill in."""
    found = []
    for identity, message in entries(read(code)).items():
        forms = [set(fields(one)) for one in ((identity,) if isinstance(identity, str) else identity)]
        given = message.string if isinstance(message.string, tuple | list) else [message.string]
        for text in filter(None, given):
            if not set.intersection(*forms) <= set(fields(text)) <= set.union(*forms):
                found.append(identity)
    return found


def compiled(code: str) -> bytes:
    """The catalogue as gettext(3) reads it."""
    file, plain = io.BytesIO(), Plain(code, header_comment="", fuzzy=False)
    for identity, message in entries(read(code)).items():
        if translated(message):
            plain.add(identity, message.string)
    write_mo(file, plain)
    return file.getvalue()


def renew(code: str, more: dict[Id, str] | None = None) -> None:
    """Write the catalogue anew with the messages of the sources and the translations that it had."""
    old, new = entries(read(code)), Plain(code, header_comment="", fuzzy=False)
    for identity in sources():
        text = (more or {}).get(identity) or (old[identity].string if identity in old else "")
        new.add(
            identity, text if isinstance(identity, str) else (text if isinstance(text, tuple) else (text,))
        )
    place = path(code)
    place.parent.mkdir(parents=True, exist_ok=True)
    with open(place, "wb") as file:
        write_po(file, new, width=100, omit_header=False, sort_output=False)
    path(code, "mo").write_bytes(compiled(code))


def main(arguments: list[str]) -> int:
    match arguments:
        case []:
            for code in LANGUAGES:
                print(f"{code}: {len(missing(code))} of {len(sources())} missing, {len(unused(code))} unused")
        case ["renew"]:
            for code in LANGUAGES:
                renew(code)
        case ["todo", code]:
            json.dump(
                [[*one] if isinstance(one, tuple) else one for one in missing(code)], sys.stdout, indent=1
            )
        case ["fill", code, file]:
            given = json.loads(Path(file).read_text())
            pairs = {one[0]: one for one in sources() if isinstance(one, tuple)}
            renew(code, {pairs.get(key, key): text for key, text in given.items()})
        case _:
            sys.exit(__doc__)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
