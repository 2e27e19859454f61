"""The set-up: the table of tools is complete, make's targets are told, apt is asked only when needed."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import tools

TOP = Path(__file__).parent.parent
ESSENTIAL = {"rm", "rmdir", "ln", "mkdir", "touch", "cp", "mv", "sync", "truncate", "env", "sh", "exit"}
"""Of packages that every Debian has (coreutils, dash), or the shell's own."""


def programs_called() -> Iterator[tuple[str, str]]:
    """The constant first words of all commands in core, each with where it stands."""
    for path in sorted((TOP / "core").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Command":
                argv = [*node.args, *(word.value for word in node.keywords if word.arg == "argv")][0]
                for words in ast.walk(argv):
                    if (
                        isinstance(words, ast.Tuple)
                        and words.elts
                        and isinstance(words.elts[0], ast.Constant)
                    ):
                        yield str(words.elts[0].value), f"{path.relative_to(TOP)}:{node.lineno}"


def test_every_program_that_core_calls_is_in_the_table() -> None:
    known = {tool.name for tool in tools.TOOLS} | ESSENTIAL
    called = list(programs_called())
    assert len(called) > 5
    assert [place for name, place in called if name not in known] == []


def test_every_program_that_core_looks_for_is_in_the_table() -> None:
    known = {tool.name for tool in tools.TOOLS}
    wanted = {
        found[1]
        for path in (TOP / "core").rglob("*.py")
        for found in re.finditer(r"\btools\.(?:find|require)\(\"([^\"]+)\"\)", path.read_text())
    }
    assert wanted <= known


def test_no_program_stands_twice_in_the_table() -> None:
    names = [tool.name for tool in tools.TOOLS]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize(
    ("release", "package"),
    [
        ("bookworm", "qemu-system-common"),
        ("trixie", "qemu-utils"),
        ("noble", "qemu-utils"),
        ("", "qemu-utils"),
    ],
)
def test_a_tool_comes_from_the_package_of_this_release(
    monkeypatch: pytest.MonkeyPatch, release: str, package: str
) -> None:
    monkeypatch.setattr(tools, "_release", lambda: release)
    tool = next(tool for tool in tools.TOOLS if tool.name == "qemu-storage-daemon")
    assert tool.package_here() == package
    assert package in tools.packages("run")


def test_the_table_is_read_without_anything_installed() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            f"import sys; sys.path.insert(0, {str(TOP)!r}); import core.tools",
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_make_help_lists_every_target_of_the_contract() -> None:
    done = subprocess.run(["make", "help"], cwd=TOP, capture_output=True, text=True, check=True)
    listed = re.findall(r"^  make (\S+) ", done.stdout, re.MULTILINE)
    assert {"run", "test", "check", "screenshots", "clean", "help"} <= set(listed)


def test_the_lock_holds_every_package_that_the_project_names() -> None:
    lines = (TOP / "tests/requirements.lock").read_text().splitlines()
    locked = {line.split("==")[0].lower().replace("_", "-") for line in lines if "==" in line}
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    named = [*project["dependencies"], *project["optional-dependencies"]["dev"], "setuptools"]
    assert {re.split(r"[<>=[]", name)[0].lower() for name in named} <= locked


def test_the_style_sheet_travels_with_the_package() -> None:
    sheets = list((TOP / "tui").rglob("*.tcss"))
    if not sheets:
        pytest.skip("there is no style sheet")
    data = tomllib.loads((TOP / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["tui"]
    carried = {path for pattern in data for path in (TOP / "tui").glob(pattern)}
    assert set(sheets) <= carried


class Machine:
    """A machine whose dpkg-query, apt-get, apt-cache, sudo and id are ours."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.log = folder / "log"
        self.bin.mkdir()
        for name in ("sh", "env", "awk", "dirname", "grep"):
            path = shutil.which(name)
            assert path
            (self.bin / name).symlink_to(path)

    def program(self, name: str, script: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def debian(self, *installed: str, offers: str = "", user: int = 0) -> None:
        lines = "".join(f"ii  {name}\\n" for name in installed)
        self.program("dpkg-query", f"printf '{lines}'")
        self.program("apt-get", f'echo "apt-get $*" >>{self.log}')
        self.program("apt-cache", f'case " {offers} " in *" $2 "*) echo "  Candidate: 1.0";; esac')
        self.program("id", f"echo {user}")

    def set_up(self, *purposes: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [TOP / ".ci/packages", *purposes],
            env={"PATH": str(self.bin), "PYTHON": sys.executable},
            capture_output=True,
            text=True,
        )

    def asked(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_nothing_is_asked_when_nothing_is_missing(machine: Machine) -> None:
    machine.debian(*tools.packages("run", "build", "option"))
    done = machine.set_up("run", "build", "option")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert machine.asked() == []


def test_only_what_is_missing_is_installed(machine: Machine) -> None:
    machine.debian(*set(tools.packages("run")) - {"fuse3", "fdisk"})
    done = machine.set_up("run")
    assert done.returncode == 0, done.stderr
    assert "Installing packages of the system: fdisk fuse3" in done.stdout
    assert machine.asked()[0].endswith(" update")
    assert machine.asked()[1].endswith(" install fdisk fuse3")


def test_a_package_removed_but_for_its_settings_counts_as_missing(machine: Machine) -> None:
    machine.debian(*set(tools.packages("run")) - {"fdisk"})
    script = (machine.bin / "dpkg-query").read_text()
    (machine.bin / "dpkg-query").write_text(script + "echo 'rc  fdisk'\n")
    assert "fdisk" in machine.set_up("run").stdout


def test_a_further_way_that_the_release_lacks_is_left_out(machine: Machine) -> None:
    machine.debian(*tools.packages("run"), offers="kpartx")
    done = machine.set_up("run", "option")
    assert done.returncode == 0, done.stderr
    assert [line.rpartition(" install ")[2] for line in machine.asked()] == ["kpartx"]


def test_a_user_without_sudo_is_told_what_root_must_do(machine: Machine) -> None:
    machine.debian(*set(tools.packages("run")) - {"fuse3"}, user=1000)
    done = machine.set_up("run")
    assert done.returncode == 1
    assert "As root: apt-get install fuse3" in done.stderr
    assert machine.asked() == []


def test_a_user_with_sudo_uses_it(machine: Machine) -> None:
    machine.debian(*set(tools.packages("run")) - {"fuse3"}, user=1000)
    machine.program("sudo", f'echo sudo >>{machine.log}; exec "$@"')
    assert machine.set_up("run").returncode == 0
    assert machine.asked()[0] == "sudo"


def test_a_failing_apt_is_told_and_stops_the_set_up(machine: Machine) -> None:
    machine.debian()
    machine.program("apt-get", "exit 100")
    done = machine.set_up("run")
    assert done.returncode == 1
    assert "could not be installed" in done.stderr


def test_a_system_without_apt_is_told_which_programs_it_lacks(machine: Machine) -> None:
    done = machine.set_up("run")
    absent = tools.absent("run")
    if not absent:
        assert (done.returncode, done.stderr) == (0, "")
        return
    assert done.returncode == 1
    assert absent[0] in done.stderr


def test_an_old_python_is_told(machine: Machine, tmp_path: Path) -> None:
    machine.debian()
    machine.program("old", "exit 1")
    done = subprocess.run(
        [TOP / ".ci/packages", "run"],
        env={"PATH": str(machine.bin), "PYTHON": "old"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "needs Python 3.11 or newer" in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_left_over_in_the_sources() -> None:
    done = subprocess.run([TOP / ".ci/leftovers"], capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, done.stderr


def test_the_readme_has_the_table_of_tools() -> None:
    assert tools.as_markdown() in (TOP / "README.md").read_text()


def test_the_readme_shows_pictures_that_are_there() -> None:
    text = (TOP / "README.md").read_text()
    pictures = re.findall(r"\((screenshots/[^)]+)\)", text)
    assert pictures
    assert [name for name in pictures if not (TOP / name).is_file()] == []


def test_the_start_up_check_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tools.start_up_problem() == ""
    monkeypatch.setattr(tools, "search_path", lambda: "/nowhere")
    problem = tools.start_up_problem()
    assert "qemu-storage-daemon" in problem
    assert "apt-get install" in problem
