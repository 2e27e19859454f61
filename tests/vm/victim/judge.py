"""PostgreSQL on a cluster that was copied out of a victim, in the test machine."""

from pathlib import Path

from ..machine import Machine
from .workload import PROGRAMS

PATIENCE = 1800.0
"""Seconds, on a busy host."""
OUT_OF_TIME = 124
"""What timeout(1) ends with."""
READ = """
set -eu
rm -rf /tmp/cluster
cp -a {cluster} /tmp/cluster
as() {{ setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }}
ask() {{ as {programs}/psql -X -A -t -q -v ON_ERROR_STOP=1 -h /dev/shm -c "$1"; }}
chown -R postgres:postgres /tmp/cluster
server() {{ as {programs}/pg_ctl -D /tmp/cluster -w -t 120 -l /dev/shm/log "$@" >/dev/null 2>&1; }}
rm -f /dev/shm/log
server start || {{ cat /dev/shm/log; exit 1; }}
trap 'server -m immediate stop' EXIT
ask "CREATE EXTENSION amcheck"
ask "SELECT bt_index_check('mail_pkey', true)" >/dev/null
ask "SELECT 'trouble', verify_heapam('mail')"
ask "SELECT 'trouble', 'halves of a transaction' WHERE (SELECT count(*) FROM mail) <> (SELECT n FROM total)"
ask "SELECT 'row', encode(body, 'hex') FROM mail ORDER BY id"
trap - EXIT
server -m fast stop
as {programs}/pg_checksums --check -D /tmp/cluster >/dev/null
"""
"""It carries out its own log, is asked for everything, and its pages are compared with their checksums."""


class Judge:
    """Reads clusters that lie below `folder`, which `machine` sees as /scratch."""

    def __init__(self, machine: Machine, folder: Path) -> None:
        self._machine = machine
        self._folder = folder

    def rows(self, cluster: Path) -> tuple[list[bytes], str]:
        """The rows that PostgreSQL finds in a cluster, in their order, and what is wrong with it."""
        if not cluster.is_dir():
            return [], "no cluster"
        seen = Path("/scratch") / cluster.relative_to(self._folder)
        answer = self._machine.run(READ.format(cluster=seen, programs=PROGRAMS), PATIENCE)
        assert answer.status != OUT_OF_TIME, f"PostgreSQL did not come to its end: {answer.output[-2000:]}"
        lines = answer.output.splitlines()
        rows = [bytes.fromhex(line.removeprefix("row|")) for line in lines if line.startswith("row|")]
        other = [line for line in lines if not line.startswith("row|")]
        trouble = other[-1] if other else f"exit status {answer.status}"
        return rows, trouble if other or answer.status else ""
