"""`inspect` on real images that nobody here made, against what independent programs see in them.

Where the two differ on purpose, the difference is named here.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Guard, Program, needs_root
from tests.corpora import MISSING, TRUTH

pytestmark = pytest.mark.skipif(not TRUTH, reason=MISSING)

UNLIKE: dict[str, dict[str, Any]] = {
    # a host-side LUKS disk is raw: its content is found by libblkid, not by QEMU's luks driver
    "dfvfs/luks1.raw": {"format": "raw", "virtual_size": 10485760},
    "util-linux/ts/blkid/images-fs/luks1.img": {"format": "raw", "virtual_size": 4096},
    # a fixed VHD shows only in its last sector, where QEMU does not look by itself
    "dfvfs/fat-parent.vhd": {"format": "vpc", "virtual_size": 4194304},
    # no UDIF trailer: a raw disk with an Apple partition map, whatever its name says
    "dfvfs/apm.dmg": {"format": "raw", "virtual_size": 4194304},
}
BEYOND_QEMU = {
    # QEMU opens it and shows the parent's sectors as zeros; Windows wrote both
    "dfvfs/fat-differential.vhd",
    # QEMU wants to replay the log in the file itself; here that goes to an overlay
    "discutils/Vhdx/Data/vhdx-log-replay.vhdx",
}
"""What has a test of its own below, against another truth than QEMU's."""
REFUSED = {
    "vmdk-rs/monolithicFlat.vmdk": "missing",
    "vmdk-rs/twoGbMaxExtentFlat.vmdk": "missing",
    "vmdk-rs/twoGbMaxExtentSparse-s001.vmdk": "descriptor is another file",
    "vmdk-rs/vmfs_thick-000001.vmdk": "missing",
}
LAYERS = {"LVM2_member", "crypto_LUKS"}
"""What holds further volumes; those are listed too."""
DAMAGED = {"qemu-iotests/afl5.img": "beyond the end"}


@pytest.mark.parametrize("truth", TRUTH, ids=lambda truth: truth["file"])
def test_inspect_sees_the_truth(truth: dict[str, Any], corpora: Path, program: Program, guard: Guard) -> None:
    name = truth["file"]
    if name in BEYOND_QEMU:
        name_of_test = Path(name).stem.replace("-", "_")
        assert f"test_{name_of_test}" in globals()
        return
    guard.watch(corpora / name)
    called = program("inspect", "--json", corpora / name)
    if name in DAMAGED:
        assert (called.status, DAMAGED[name] in called.err) == (1, True), called
        return
    if name in REFUSED:
        assert (called.status, REFUSED[name] in called.err) == (3, True), called
        return
    assert called.status == 0, called
    document = json.loads(called.out)
    disk, table = document["disk"], document["table"]
    wanted = {
        "format": truth["qemu_img_format"],
        "virtual_size": truth["virtual_size"],
        **UNLIKE.get(name, {}),
    }
    assert {"format": disk["format"], "virtual_size": disk["virtual_size"]} == wanted
    contents = {volume["id"]: volume["content"] for volume in document["volumes"]}
    whole = (truth["blkid"] or {}).get("TYPE")
    if "disk" in contents:
        assert contents.pop("disk") == whole
        assert not contents or whole in LAYERS
        return
    for inside in truth.get("inside", []):
        if inside["n"] in contents or inside.get("TYPE"):
            assert contents[inside["n"]] == inside.get("TYPE"), inside
    seen = [f"{part['number']}:{part['start']}s:{part['end']}s" for part in table["partitions"]]
    assert seen == [":".join(line.split(":")[:3]) for line in truth["parted"]]


def test_every_image_has_a_truth(corpora: Path) -> None:
    known = {truth["file"] for truth in TRUTH}
    files = {str(path.relative_to(corpora)) for path in corpora.rglob("*") if path.is_file()}
    assert files <= known | {"README.md", "truth.json"}, sorted(files - known)


@needs_root
def test_fat_differential(corpora: Path, program: Program, guard: Guard) -> None:
    image, parent = (corpora / "dfvfs" / name for name in ("fat-differential.vhd", "fat-parent.vhd"))
    guard.watch(image, parent)
    seen = json.loads(program("inspect", "--json", image).out)
    assert [link["format"] for link in seen["disk"]["chain"]] == ["vpc", "vpc"]
    part = seen["table"]["partitions"][0]
    assert (part["start"], part["end"], seen["volumes"][0]["label"]) == (128, 6143, "TESTVOLUME")
    listed = json.loads(program("ls", "--json", image, "1").out)["entries"]
    assert {"a_directory", "passwords.txt"} <= {entry["name"] for entry in listed}
    read = program("cat", image, "1", "/passwords.txt")
    assert read.out.startswith("place,user,password")


@needs_root
def test_vhdx_log_replay(corpora: Path, tmp_path: Path, program: Program, guard: Guard) -> None:
    """The same bytes as QEMU's own replay on a copy gives."""
    image = corpora / "discutils/Vhdx/Data/vhdx-log-replay.vhdx"
    guard.watch(image)
    copy = tmp_path / "copy.vhdx"
    subprocess.run(["cp", "--sparse=always", image, copy], check=True)
    subprocess.run(["qemu-img", "check", "-q", "-r", "all", copy], check=True)
    seen = json.loads(program("inspect", "--json", image).out)
    assert len(seen["table"]["partitions"]) == 2
    converted = program("convert", image, tmp_path / "out.qcow2", "--to", "qcow2")
    assert converted.status == 0, converted.err
    compared = ["qemu-img", "compare", "-f", "vhdx", "-F", "qcow2", copy, tmp_path / "out.qcow2"]
    subprocess.run(compared, check=True)
