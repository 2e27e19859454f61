"""The believable rest of a practice disk: boot files, settings, and the logs up to the crash."""

import gzip
import random
import time
from collections.abc import Iterator

from core.lab.people import DAY, Person
from core.lab.planting import Item, Owner

_KERNEL = "5.10.0-28-amd64"
_LOG_GROUP = 4
"""The group adm of Debian, which may read logs."""


def boot(chance: random.Random, when: int) -> Iterator[Item]:
    """What lies in the partition that is mounted at /boot."""
    own = Owner(0, 0, when - 60 * DAY)
    yield own.file(f"vmlinuz-{_KERNEL}", b"MZ\xea\x07" + chance.randbytes(3 << 20))
    yield own.file(f"initrd.img-{_KERNEL}", gzip.compress(chance.randbytes(5 << 20), 1, mtime=0))
    yield own.file(f"config-{_KERNEL}", "CONFIG_64BIT=y\nCONFIG_EXT4_FS=y\nCONFIG_VIRTIO_BLK=y\n")
    yield own.folder("grub")
    yield own.file(
        "grub/grub.cfg",
        (
            "set default=0\nset timeout=5\nmenuentry 'Debian GNU/Linux' {\n"
            f"  linux /vmlinuz-{_KERNEL} root=/dev/vda7 ro quiet\n  initrd /initrd.img-{_KERNEL}\n}}\n"
        ),
    )


def root(chance: random.Random, users: tuple[Person, ...], host: str, when: int) -> Iterator[Item]:
    """What lies in the root partition: the settings of the machine and empty mount points."""
    own = Owner(0, 0, when - 20 * DAY)
    for name in ("boot", "data", "home", "mnt", "srv", "usr", "usr/local", "usr/local/bin", "var"):
        yield own.folder(name)
    yield own.file(
        "usr/local/bin/nightly-backup",
        "#!/bin/sh\n# TO BE DONE: the target is full since January\nexit 0\n",
        0o755,
    )
    yield own.folder("etc")
    for path, text in _settings(users, host).items():
        yield own.file(f"etc/{path}", text)
    hashes = (f"{user.login}:$y$j9T${chance.randbytes(20).hex()}:19700:0:99999:7:::\n" for user in users)
    yield Owner(0, 42, own.mtime).file("etc/shadow", "root:*:19700:0:99999:7:::\n" + "".join(hashes), 0o640)
    for folder in ("nginx", "nginx/sites-available", "nginx/sites-enabled", "ssh"):
        yield own.folder(f"etc/{folder}")
    site = f"server {{\n  listen 80;\n  server_name {host}.example.com;\n  root /srv/www;\n}}\n"
    yield own.file("etc/nginx/sites-available/shop", site)
    yield own.symlink("etc/nginx/sites-enabled/shop", "../sites-available/shop")
    yield own.file("etc/ssh/sshd_config", "PermitRootLogin no\nPasswordAuthentication no\n")


def _settings(users: tuple[Person, ...], host: str) -> dict[str, str]:
    accounts = "".join(
        f"{one.login}:x:{one.uid}:{one.uid}:{one.name},,,:/home/{one.login}:/bin/bash\n" for one in users
    )
    return {
        "hostname": f"{host}\n",
        "hosts": f"127.0.0.1\tlocalhost\n192.0.2.17\t{host}.example.com {host}\n",
        "debian_version": "11.9\n",
        "passwd": "root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\n"
        + accounts,
        "group": "root:x:0:\nadm:x:4:\n" + "".join(f"{one.login}:x:{one.uid}:\n" for one in users),
        "fstab": (
            "# <file system> <mount point> <type> <options> <dump> <pass>\n"
            "/dev/vda7 / ext4 errors=remount-ro 0 1\n/dev/vda2 /boot ext2 defaults 0 2\n"
            "/dev/vda5 /data ext4 defaults 0 2\n/data/home /home none bind 0 0\n"
            "/data/srv /srv none bind 0 0\n"
            "/dev/vda6 /mnt ext4 defaults 0 2\n/mnt/var /var none bind 0 0\n"
        ),
    }


def services(chance: random.Random, when: int) -> Iterator[Item]:
    """The tree ``srv``: a small web site."""
    own = Owner(33, 33, when - 9 * DAY)
    yield own.folder("srv")
    yield own.folder("srv/www")
    yield own.file(
        "srv/www/index.html",
        f"<!doctype html>\n<title>Shop</title>\n<p>Order {chance.randrange(10**5)}</p>\n",
    )


def logs(chance: random.Random, users: tuple[Person, ...], host: str, when: int) -> Iterator[Item]:
    """The tree ``var`` with the logs: the last lines tell of the crash, and break off."""
    own, log = Owner(0, 0, when), Owner(0, _LOG_GROUP, when)
    for name in ("var", "var/lib", "var/lib/misc", "var/log", "var/log/nginx"):
        yield own.folder(name)
    yield log.file("var/log/auth.log", "".join(_logins(chance, users, host, when)), 0o640)
    yield log.file("var/log/kern.log", "".join(_crash(chance, host, when)), 0o640)
    yield log.file(
        "var/log/syslog", "".join(_everyday(chance, host, when)) + "".join(_crash(chance, host, when)), 0o640
    )
    visits = "".join(_visits(chance, when))
    yield log.file("var/log/nginx/access.log", visits[: len(visits) // 3], 0o640)
    yield log.file("var/log/nginx/access.log.1.gz", gzip.compress(visits.encode(), mtime=0), 0o640, DAY)


def _stamp(moment: int) -> str:
    return time.strftime("%b %e %H:%M:%S", time.gmtime(moment))


def _logins(chance: random.Random, users: tuple[Person, ...], host: str, when: int) -> Iterator[str]:
    for n in range(60, 0, -1):
        user, port = chance.choice(users).login, chance.randrange(30000, 60000)
        address = f"198.51.100.{chance.randrange(1, 250)}"
        accepted = f"Accepted publickey for {user} from {address} port {port} ssh2"
        yield f"{_stamp(when - n * 1700)} {host} sshd[{chance.randrange(400, 9000)}]: {accepted}\n"


def _everyday(chance: random.Random, host: str, when: int) -> Iterator[str]:
    jobs = (
        "systemd[1]: Started Daily apt download activities.",
        "CRON[811]: (root) CMD (run-parts /etc/cron.hourly)",
        "systemd[1]: Finished Rotate log files.",
        "chronyd[402]: Selected source 192.0.2.1",
    )
    for n in range(400, 0, -1):
        yield f"{_stamp(when - 200 - n * 210)} {host} {chance.choice(jobs)}\n"


def _crash(chance: random.Random, host: str, when: int) -> Iterator[str]:
    """Kernel messages of a disk that stops answering; the last one ends where the power did."""
    up, sector = chance.randrange(10**5, 10**6), chance.randrange(10**5, 7 * 10**5)
    lines = (
        "virtio_blk virtio2: [vda] 1000944 512-byte logical blocks (512 MB/489 MiB)",
        f"blk_update_request: I/O error, dev vda, sector {sector} op 0x1:(WRITE) flags 0x800 phys_seg 1",
        f"Buffer I/O error on dev vda7, logical block {sector // 8}, lost async page write",
        "Aborting journal on device vda7-8.",
        "EXT4-fs error (device vda7): ext4_journal_check_start:83: Detected aborted journal",
        "EXT4-fs (vda7): Remounting filesystem read-only",
        "INFO: task jbd2/vda5-8:211 blocked for more than 120 seconds.",
        "      Not tainted " + _KERNEL + " #1 Debian 5.10.209-2",
        "task:jbd2/vda5-8     state:D stack:    0 pid:  211 ppid:     2 flags:0x00004000",
        "Call Trace:",
    )
    for n, line in enumerate(lines):
        age = n * 13
        clock = f"{up + age}.{chance.randrange(10**6):06}"
        yield f"{_stamp(when - 130 + age)} {host} kernel: [{clock}] {line}\n"
    yield f"{_stamp(when)} {host} kernel: [{up + 130}.271828]  io_sched"


def _visits(chance: random.Random, when: int) -> Iterator[str]:
    pages = ("/", "/cart", "/style.css", "/item/17", "/item/4711", "/login")
    for n in range(900, 0, -1):
        moment = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(when - n * 90))
        request = f'"GET {chance.choice(pages)} HTTP/1.1" 200 {chance.randrange(200, 9000)}'
        yield f"203.0.113.{chance.randrange(1, 250)} - - [{moment}] {request}\n"
