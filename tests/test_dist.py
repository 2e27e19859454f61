"""What `make dist` builds, tried out as on a host without a network: nothing of this checkout is reached."""

import json
import os
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from core.lab import catalogue, labs
from core.runner import SystemRunner
from tests.conftest import Guard, needs_root

TOP = Path(__file__).parent.parent
SHARED = (
    "share/man/man1/virt-salvage.1",
    "share/bash-completion/completions/virt-salvage.bash",
    "share/zsh/site-functions/_virt-salvage",
    "share/fish/vendor_completions.d/virt-salvage.fish",
)


@pytest.fixture(scope="module")
def dist() -> Path:
    """The folder with what was built, by this test where nobody did."""
    words = ["make", "--old-file=packages-test", "--old-file=packages", "--old-file=.venv/.dev", "dist"]
    subprocess.run(words, cwd=TOP, check=True, capture_output=True, timeout=600)
    return TOP / "dist"


def test_wheel_and_sdist_carry_all_that_is_needed(dist: Path) -> None:
    [wheel], [source] = dist.glob("*.whl"), dist.glob("*.tar.gz")
    names = zipfile.ZipFile(wheel).namelist()
    for part in (*SHARED, "tui/app.tcss", "LC_MESSAGES/virt-salvage.mo"):
        assert any(name.endswith(part) for name in names), part
    with tarfile.open(source) as packed:
        inside = {name.partition("/")[2] for name in packed.getnames()}
    assert {"docs/virt-salvage.1", "docs/completion/_virt-salvage", "LICENSE", "setup.py"} <= inside


@needs_root
def test_one_file_is_enough_without_a_network(dist: Path, guard: Guard, tmp_path: Path) -> None:
    disk = labs.start(catalogue.built_in()[0], tmp_path / "lab", SystemRunner(), seed=1)
    guard.watch(disk)
    one = tmp_path / "carried"
    one.write_bytes((dist / "virt-salvage.pex").read_bytes())
    one.chmod(0o755)

    def call(*words: str | Path) -> subprocess.CompletedProcess[str]:
        path = os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        return subprocess.run(
            ["unshare", "--net", str(one), "--state-dir", str(tmp_path / "state"), *map(str, words)],
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
            env={"PATH": path, "HOME": str(tmp_path), "PEX_ROOT": str(tmp_path / "pex")},
            timeout=120,
        )

    table = call("inspect", disk)
    assert "read by libparted, with" in table.stdout, table  # its child found pyparted
    copied = json.loads(call("copy", disk, "5", "/home", tmp_path / "out", "--json").stdout)
    assert copied["files"] > 5
    assert copied["unreadable"] == []
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=tmp_path / "out", check=True)
