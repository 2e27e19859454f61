"""The trees of files that a practice disk can be filled with, by name."""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from core.lab.people import DAY, Person, customers, homes, invoices, picture
from core.lab.planting import Item, Owner
from core.lab.server import boot, logs, root, services


@dataclass(frozen=True, slots=True)
class Setting:
    """Whose machine it was, and when it died."""

    chance: random.Random
    users: tuple[Person, ...]
    host: str
    when: int


def shop(setting: Setting) -> Iterator[Item]:
    """The tree ``srv`` of a web shop: its database, its orders, its pictures."""
    chance, own = setting.chance, Owner(33, 33, setting.when - 2 * DAY)
    yield own.folder("srv")
    yield own.folder("srv/shop", 0o750)
    yield own.file("srv/shop/shop.db", customers(chance, 4000), 0o640)
    yield own.file("srv/shop/orders.csv", invoices(chance), 0o640)
    yield own.file("srv/shop/settings.ini", f"[shop]\nsecret = {chance.randbytes(12).hex()}\n", 0o600)
    yield own.folder("srv/shop/pictures")
    for n in range(4):
        yield own.file(f"srv/shop/pictures/{chance.randrange(1000, 9999)}{n}.png", picture(chance))


def databases(setting: Setting) -> Iterator[Item]:
    """The folder ``srv/shop/data``: the shop's other databases."""
    chance, own = setting.chance, Owner(33, 33, setting.when - DAY)
    yield own.folder("srv/shop/data", 0o750)
    for name in ("archive", "contacts", "orders", "stock"):
        yield own.file(f"srv/shop/data/{name}.db", customers(chance, chance.randrange(2000, 4000)), 0o640)


def dumps(setting: Setting) -> Iterator[Item]:
    """The tree ``backups``: what a nightly job wrote of the shop's database, one file a night."""
    chance, own = setting.chance, Owner(0, 0, setting.when)
    yield own.folder("backups", 0o700)
    for night in range(3):
        lines = "".join(
            f"INSERT INTO customer VALUES ({n}, 'no. {chance.randrange(10**9)}');\n" for n in range(800)
        )
        yield own.file(f"backups/shop-{3 - night}.sql", "BEGIN;\n" + lines + "COMMIT;\n", 0o600, night * DAY)


def windows(setting: Setting) -> Iterator[Item]:
    """A volume of Windows: the files of its users."""
    chance, own = setting.chance, Owner(0, 0, setting.when)
    yield own.folder("Windows")
    yield own.file("Windows/win.ini", "; for 16-bit app support\r\n")
    yield own.folder("Users")
    for user in setting.users:
        top = f"Users/{user.login}"
        yield own.folder(top)
        yield own.folder(f"{top}/Documents")
        yield own.file(f"{top}/Documents/invoices.csv", invoices(chance))
        yield own.file(f"{top}/Documents/customers.db", customers(chance))
        yield own.folder(f"{top}/Pictures")
        yield own.file(f"{top}/Pictures/IMG_{chance.randrange(1000, 9999)}.png", picture(chance))


Tree = Callable[[Setting], Iterator[Item]]

TREES: Mapping[str, Tree] = {
    "boot": lambda setting: boot(setting.chance, setting.when),
    "root": lambda setting: root(setting.chance, setting.users, setting.host, setting.when),
    "homes": lambda setting: homes(setting.chance, setting.users, setting.when),
    "services": lambda setting: services(setting.chance, setting.when),
    "logs": lambda setting: logs(setting.chance, setting.users, setting.host, setting.when),
    "shop": shop,
    "databases": databases,
    "dumps": dumps,
    "windows": windows,
}
"""What can stand as ``trees`` in the description of a file system."""
