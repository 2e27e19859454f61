"""What the victim writes, the same on both sides: in the victim it is done, on the host it is expected.

Runs in the victim by itself, so it needs nothing but the standard library.
"""

import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

FOLDERS = 8
"""Folders in each place."""
LARGEST = 400_000
"""Bytes of the largest file."""
KINDS = ("new", "new", "new", "append", "replace", "row", "row")
COMMITS = 4
"""Commits to PostgreSQL among so many kinds, where it runs."""
PROGRAMS = Path("/usr/lib/postgresql/15/bin")
CLUSTER = "cluster"
"""PostgreSQL's folder in each place; it runs in one of them."""


@dataclass(frozen=True)
class Step:
    """One piece of work that ends with an fsync, in a file below `place`, or in PostgreSQL."""

    kind: str
    place: int
    name: str
    data: bytes


@dataclass
class Expected:
    """What must be there after some steps: files by place and name, rows of the databases by place."""

    files: dict[tuple[int, str], bytes] = field(default_factory=dict)
    rows: dict[int, list[bytes]] = field(default_factory=dict)
    commits: list[bytes] = field(default_factory=list)
    """Rows in PostgreSQL."""

    def take(self, step: Step) -> None:
        key = (step.place, step.name)
        if step.kind == "row":
            self.rows.setdefault(step.place, []).append(step.data)
        elif step.kind == "commit":
            self.commits.append(step.data)
        elif step.kind == "append":
            self.files[key] = self.files.get(key, b"") + step.data
        else:
            self.files[key] = step.data


def steps(seed: int, places: int, cluster: int | None) -> Iterator[Step]:
    """The work without end that a seed stands for; PostgreSQL is in the place `cluster`, or not there."""
    kinds = KINDS if cluster is None else KINDS + ("commit",) * COMMITS
    chance = random.Random(seed)
    made: list[list[str]] = [[] for _place in range(places)]
    number = 0
    while True:
        number += 1
        place = chance.randrange(places)
        kind = chance.choice(kinds)
        size = int(LARGEST ** chance.random())
        data = chance.randbytes(size)
        if kind == "row":
            yield Step(kind, place, "mail.sqlite", data[:4000])
        elif kind == "commit":
            assert cluster is not None
            yield Step(kind, cluster, CLUSTER, data[:4000])
        elif kind == "append":
            yield Step(kind, place, "log", b"%d " % number + data[:2000].hex().encode() + b"\n")
        elif kind == "replace" and made[place]:
            yield Step(kind, place, chance.choice(made[place]), data)
        else:
            name = f"{chance.randrange(FOLDERS)}/{number}"
            made[place].append(name)
            yield Step("new", place, name, data)


def journal_mode(place: int) -> str:
    """Each way of SQLite to be safe is used in some place."""
    return ("wal", "delete")[place % 2]


class Server:
    """PostgreSQL with a connection to it."""

    def __init__(self, cluster: Path) -> None:
        """Start it in the cluster, as its user; it commits with fsync, as it does by itself."""
        start = [PROGRAMS / "pg_ctl", "-D", cluster, "-w", "-t", "120", "-l", "/dev/shm/log", "start"]
        subprocess.run(start, user="postgres", group="postgres", check=True, stdout=subprocess.DEVNULL)
        words = [PROGRAMS / "psql", "-X", "-h", "/dev/shm", "-U", "postgres", "-v", "ON_ERROR_STOP=1"]
        self._client = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._do(
            "CREATE TABLE mail (id int PRIMARY KEY, body bytea);"
            " CREATE TABLE total (n int); INSERT INTO total VALUES (0);",
            b"INSERT 0 1",
        )
        self._rows = 0

    def add(self, row: bytes) -> None:
        """Commit one row; when this returns, it is on the medium."""
        self._rows += 1
        insert = f"INSERT INTO mail VALUES ({self._rows}, '\\x{row.hex()}');"
        self._do(f"BEGIN; {insert} UPDATE total SET n = n + 1; COMMIT;", b"COMMIT")

    def _do(self, line: str, last: bytes) -> None:
        assert self._client.stdin and self._client.stdout
        self._client.stdin.write(line.encode() + b"\n")
        self._client.stdin.flush()
        for answer in self._client.stdout:
            if answer.strip() == last:
                return
        raise RuntimeError("PostgreSQL is gone")


def do(step: Step, root: Path, database: sqlite3.Connection, server: Server | None) -> None:
    """Do one step; when this returns, it is on the medium."""
    if step.kind == "commit":
        assert server
        server.add(step.data)
        return
    if step.kind == "row":
        with database:
            database.execute("INSERT INTO mail (body) VALUES (?)", (step.data,))
        return
    path = root / step.name
    path.parent.mkdir(exist_ok=True)
    if step.kind == "replace":
        new = path.with_name(path.name + ".new")
        _write(new, "wb", step.data)
        new.rename(path)
    else:
        _write(path, "ab" if step.kind == "append" else "xb", step.data)
    for folder in (path.parent, root):
        descriptor = os.open(folder, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def _write(path: Path, mode: str, data: bytes) -> None:
    with open(path, mode) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def database(root: Path, place: int) -> sqlite3.Connection:
    """The place's database, in which a commit that returned is durable: sqlite.org/pragma.html."""
    made = sqlite3.connect(root / "mail.sqlite")
    made.execute(f"PRAGMA journal_mode={journal_mode(place)}")
    made.execute("PRAGMA synchronous=EXTRA")
    made.execute("CREATE TABLE mail (id INTEGER PRIMARY KEY, body BLOB)")
    made.commit()
    return made


def disturb(roots: Sequence[Path], seed: int) -> None:
    """Without end make, write and delete files that nobody syncs: what a server does beside its work."""
    chance = random.Random(-seed)
    number = 0
    while True:
        number += 1
        folder = chance.choice(roots) / "unsynced"
        folder.mkdir(exist_ok=True)
        (folder / str(number)).write_bytes(chance.randbytes(int(LARGEST ** chance.random())))
        if number > 40:
            for old in sorted(folder.iterdir())[:3]:
                old.unlink()


def main(seed: int, cluster: int | None, report: str, roots: Sequence[Path]) -> None:
    """Do the seed's steps in `roots`, and tell the number of each on `report` when it is on the medium."""
    with open(report, "wb", buffering=0) as told:
        databases = []
        for place, root in enumerate(roots):
            root.mkdir(exist_ok=True)
            databases.append(database(root, place))
        server = None if cluster is None else Server(roots[cluster] / CLUSTER)
        os.sync()
        if not os.fork():
            disturb(roots, seed)
        told.write(b"ready\n")
        for number, step in enumerate(steps(seed, len(roots), cluster), start=1):
            do(step, roots[step.place], databases[step.place], server)
            told.write(b"%d\n" % number)


if __name__ == "__main__":
    main(
        int(sys.argv[1]),
        int(sys.argv[2]) if sys.argv[2] else None,
        sys.argv[3],
        [Path(name) for name in sys.argv[4:]],
    )
