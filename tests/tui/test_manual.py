"""The man page and the completions, as man and the shells themselves take them."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tui import manual
from tui.verbs import parsers


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("manual")
    for name, text in manual.made().items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


@needs("groff")
def test_the_man_page_reads_well(made: Path) -> None:
    done = subprocess.run(
        ["groff", "-ww", "-man", "-T", "ascii", "-P", "-cbou", str(made / "virt-salvage.1")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    words = " ".join(done.stdout.replace("-\n", "").split())
    assert "guided recovery of files" in words
    parser, verbs = parsers()
    for verb in verbs:
        assert f" {verb} " in words, verb
    for option in ("--as-script", "--linear", "--passphrase-file PATH", "--existing"):
        assert option in words
    assert "130 interrupted, everything taken down" in words
    assert parser.prog == "virt-salvage"


def bash(made: Path, *words: str) -> list[str]:
    script = (
        f'source {made}/completion/virt-salvage.bash; compopt() {{ :; }}; COMP_WORDS=("$@");'
        ' COMP_CWORD=$(($# - 1)); _virt_salvage; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", script, "bash", "virt-salvage", *words],
        capture_output=True,
        text=True,
        check=True,
        cwd=made,
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completes(made: Path) -> None:
    assert {"convert", "copy", "commit", "completion"} == set(bash(made, "co"))  # a file is offered too
    assert bash(made, "copy", "--exi") == ["--existing"]
    assert bash(made, "--plain", "copy", "d", "--existing", "r") == ["replace"]
    assert bash(made, "lab", "hi") == ["hint"]
    assert bash(made, "lab", "start", "class") == ["classical-table"]
    assert bash(made, "convert", "d", "e", "--to", "qc") == ["qcow2"]
    assert bash(made, "inspect", "virt") == ["virt-salvage.1"]
    assert "--writable" not in bash(made, "ls", "--")


@needs("fish")
def test_fish_completes(made: Path) -> None:
    def fish(line: str) -> list[str]:
        call = f"source {made}/completion/virt-salvage.fish; complete -C '{line}'"
        done = subprocess.run(["fish", "-c", call], capture_output=True, text=True, check=True, cwd=made)
        return [one.split("\t")[0] for one in done.stdout.splitlines()]

    assert {"convert", "copy", "commit"} <= set(fish("virt-salvage co"))
    assert fish("virt-salvage copy --exi") == ["--existing"]
    assert fish("virt-salvage copy d --existing r") == ["replace"]
    assert fish("virt-salvage lab hi") == ["hint"]
    assert fish("virt-salvage lab start class") == ["classical-table"]
    assert fish("virt-salvage convert d e --to qc") == ["qcow2"]


@needs("zsh")
def test_zsh_completes(made: Path, tmp_path: Path) -> None:
    # the completion system needs an editor: zpty gives it one, as a person's terminal does
    script = f"""
        zmodload zsh/zpty
        zpty shell 'zsh -f -i'
        zpty -w shell 'PS1=; fpath=({made}/completion $fpath)'
        zpty -w shell 'autoload -U compinit; compinit -u -d {tmp_path}/d'
        zpty -w shell "bindkey '^I' complete-word; echo re''ady"
        zpty -r shell out '*ready*'
        zpty -w -n shell $'virt-salvage copy --exi\\t'
        zpty -r shell out '*--existing*' && print found one
        zpty -w -n shell $'\\x15virt-salvage inspect --form\\t'
        zpty -r shell out '*--format*' && print found two
        zpty -w -n shell $'\\x15virt-salvage lab hi\t'
        zpty -r shell out '*lab hint*' && print found three
        zpty -w -n shell $'\\x15virt-salvage lab start classical\t'
        zpty -r shell out '*start classical-table*' && print found four
        zpty -w -n shell $'\\x15virt-salvage convert d e --to qco\t'
        zpty -r shell out '*qcow2*' && print found five
        [[ $out == *'bad option'* ]] || print no complaint
        zpty -d shell
    """
    done = subprocess.run(
        ["zsh", "-f", "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    found = ["found one", "found two", "found three", "found four", "found five", "no complaint"]
    assert done.stdout.splitlines()[:6] == found, done
