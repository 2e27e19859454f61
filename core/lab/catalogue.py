"""Which practice disks there are: those that come with the program, and those that somebody wrote."""

from functools import cache
from importlib import resources
from pathlib import Path

from core.errors import SalvageError, WrongUsage
from core.i18n import _, enumerated
from core.lab import reading
from core.lab.lab import Lab
from core.text import safe

OWN = "own"
"""The folder beside the labs' own folders in which descriptions lie that somebody added."""
EXAMPLE = "example.toml"


@cache
def built_in() -> tuple[Lab, ...]:
    """The labs that come with the program, from easy to hard."""
    folder = resources.files("core.lab").joinpath("builtin")
    files = sorted((one for one in folder.iterdir() if one.name.endswith(".toml")), key=lambda one: one.name)
    there = (reading.parsed(one.read_bytes(), one.name) for one in files)
    return tuple(sorted(there, key=lambda lab: lab.level))


def example() -> str:
    """An example of a description, for those who write their own."""
    return resources.files("core.lab").joinpath(EXAMPLE).read_text(encoding="utf-8")


def labs(folder: Path) -> tuple[Lab, ...]:
    """All labs: those of the program, then those that lie in `folder`; a broken one is passed over."""
    return (*built_in(), *own(folder)[0])


def own(folder: Path) -> tuple[list[Lab], list[str]]:
    """The labs that were added to `folder`, and sentences about those that cannot be read."""
    found: list[Lab] = []
    problems: list[str] = []
    for path in sorted((folder / OWN).glob("*.toml")):
        try:
            found.append(reading.read(path))
        except SalvageError as error:
            problems.append(error.what)
    return found, problems


def named(name: str, folder: Path) -> Lab:
    """The lab of that name; raises `WrongUsage` when there is none."""
    there = labs(folder)
    for lab in there:
        if lab.name == name:
            return lab
    raise WrongUsage(
        _("There is no practice disk called {name}.").format(name=safe(name)),
        remedy=_("There are: {names}.").format(names=enumerated(lab.name for lab in there)),
    )


def add(path: Path, folder: Path) -> Lab:
    """Take a description into `folder`, so that it is one of the labs; raises `BadLab`, `WrongUsage`."""
    lab = reading.read(path)
    if any(one.name == lab.name for one in built_in()):
        raise WrongUsage(
            _("There is a practice disk called {name} already.").format(name=lab.name),
            remedy=_("Give yours another name."),
        )
    place = folder / OWN
    try:
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{lab.name}.toml").write_text(lab.source, encoding="utf-8")
    except OSError as error:
        raise SalvageError(
            _("The description could not be kept in {path}: {reason}.").format(
                path=safe(place), reason=error.strerror
            )
        ) from error
    return lab
