"""The believable inhabitants of a practice disk: users, and the documents they lost."""

import csv
import io
import random
import sqlite3
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from core.lab.planting import Item, Owner

DAY = 86_400


@dataclass(frozen=True, slots=True)
class Person:
    """A user of the machine."""

    login: str
    name: str
    uid: int


_PEOPLE = (
    ("anna", "Anna Weber"),
    ("liwei", "Li Wei"),
    ("tomas", "Tomáš Novák"),
    ("fatima", "Fatima El Amrani"),
    ("george", "George Okafor"),
    ("ines", "Inés Castro"),
    ("maya", "Maya Lindqvist"),
)
_FIRMS = (
    "Northwind Tools",
    "Brückner & Söhne",
    "Café Zenith",
    "Harbour Freight Lines",
    "Oak Street Dental",
    "上海明华贸易",
    "Studio Pastel",
    "Kestrel Optics",
    "Vallée Verte",
    "Tidewater Marine",
)
_THINGS = (
    "hosting",
    "backup service",
    "mail boxes",
    "site visit",
    "new disks",
    "domain names",
    "support hours",
)
_MEETINGS = (
    "move the shop to the new host before the end of the month",
    "order two more disks for the store room server",
    "who keeps the keys to the cabinet on the second floor",
    "the backup of the mail server has not been tried since spring",
    "ask for a quote for the air conditioning",
    "the printer on floor three again",
    "new colleague starts on Monday, needs an account and a chair",
)


def people(chance: random.Random, count: int = 3) -> tuple[Person, ...]:
    """So many users, numbered from 1000 on as Debian does."""
    chosen = chance.sample(_PEOPLE, count)
    return tuple(Person(login, name, 1000 + n) for n, (login, name) in enumerate(chosen))


def homes(chance: random.Random, users: tuple[Person, ...], when: int) -> Iterator[Item]:
    """The tree ``home`` with a folder for each user."""
    yield Owner(0, 0, when).folder("home")
    for user in users:
        yield from _home(chance, user, when - chance.randrange(3600, 40 * DAY))


def _home(chance: random.Random, user: Person, when: int) -> Iterator[Item]:
    own = Owner(user.uid, user.uid, when)
    top = f"home/{user.login}"
    yield own.folder(top, 0o750)
    yield own.file(f"{top}/.bash_history", _history(chance, user), 0o600)
    yield own.file(f"{top}/.profile", "umask 027\nexport EDITOR=nano\n", age=300 * DAY)
    yield own.folder(f"{top}/.ssh", 0o700)
    key = chance.randbytes(33).hex()
    yield own.file(
        f"{top}/.ssh/authorized_keys", f"ssh-ed25519 {key} {user.login}@laptop\n", 0o600, 200 * DAY
    )
    yield from _documents(chance, own, user, f"{top}/Documents")
    yield from _pictures(chance, own, f"{top}/Pictures")
    yield own.symlink(f"{top}/notes", "Documents/notes.txt")
    size = 16 << 20
    yield own.sparse(
        f"{top}/scratch.img", size, (0, chance.randbytes(8192)), (size - 8192, chance.randbytes(4096))
    )


def _documents(chance: random.Random, own: Owner, user: Person, top: str) -> Iterator[Item]:
    yield own.folder(top)
    yield own.file(f"{top}/notes.txt", _notes(chance, user))
    sheet = own.file(f"{top}/invoices.csv", invoices(chance), 0o640, chance.randrange(90) * DAY)
    yield sheet
    yield own.file(f"{top}/customers.db", customers(chance), 0o640, chance.randrange(30) * DAY)
    firm = chance.choice(_FIRMS)
    number = chance.randrange(1000, 9999)
    letter = f"Dear Sir or Madam,\n\nplease find our offer No. {number} below.\n\n{user.name}\n"
    yield own.file(f"{top}/Letter to {firm}.txt", letter, age=chance.randrange(200) * DAY)
    yield own.file(f"{top}/Übersicht {chance.randrange(2019, 2024)}.txt", _notes(chance, user), age=100 * DAY)
    yield own.folder(f"{top}/Archive")
    yield own.hardlink(f"{top}/Archive/invoices (kept).csv", sheet)
    yield own.file(f"{top}/Archive/empty.txt", "")


def _pictures(chance: random.Random, own: Owner, top: str) -> Iterator[Item]:
    yield own.folder(top)
    first = chance.randrange(100, 9000)
    for n in range(chance.randrange(3, 6)):
        yield own.file(f"{top}/IMG_{first + n:04}.png", picture(chance), age=chance.randrange(300) * DAY)


def _history(chance: random.Random, user: Person) -> str:
    lines = [
        "ls -la",
        "cd Documents",
        "nano notes.txt",
        "df -h",
        f"ssh {user.login}@backup01",
        "less /var/log/syslog",
    ]
    return "\n".join(chance.choices(lines, k=25)) + "\n"


def _notes(chance: random.Random, user: Person) -> str:
    lines = [f"Notes of {user.name}", ""]
    for day in sorted(chance.sample(range(1, 29), 6)):
        lines += [
            f"{day}.{chance.randrange(1, 13)}.",
            f"- {chance.choice(_MEETINGS)}",
            f"- {chance.choice(_MEETINGS)}",
            "",
        ]
    return "\n".join(lines)


def invoices(chance: random.Random) -> str:
    """A sheet of a few hundred invoices, as CSV."""
    sheet = io.StringIO()
    rows = csv.writer(sheet, lineterminator="\n")
    rows.writerow(("number", "customer", "for", "net", "paid"))
    for number in range(1, chance.randrange(120, 400)):
        net = f"{chance.randrange(2000, 900_000) / 100:.2f}"
        rows.writerow(
            (number, chance.choice(_FIRMS), chance.choice(_THINGS), net, chance.choice(("yes", "no")))
        )
    return sheet.getvalue()


def customers(chance: random.Random, rows: int = 300) -> bytes:
    """A database of SQLite with so many customers."""
    with sqlite3.connect(":memory:") as base:
        base.execute("CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT, phone TEXT)")
        base.executemany(
            "INSERT INTO customer (name, phone) VALUES (?, ?)",
            [(chance.choice(_FIRMS), f"+49 30 {chance.randrange(10**6, 10**7)}") for _row in range(rows)],
        )
    data = base.serialize()
    base.close()
    return data


def picture(chance: random.Random) -> bytes:
    """A PNG image that any viewer opens: bands of colour with grain, 400 to 600 pixels wide."""
    width, height = chance.randrange(400, 600), chance.randrange(300, 400)
    tint = chance.randbytes(3)
    rows = bytearray()
    for line in range(height):
        row = bytearray(3 * width)
        for channel, part in enumerate(tint):
            grain = bytes((part + line + (noise & 31)) & 0xFF for noise in range(256))
            row[channel::3] = chance.randbytes(width).translate(grain)
        rows += b"\0" + row
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(rows), 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
