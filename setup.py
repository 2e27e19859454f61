"""What pyproject.toml cannot say: the man page and the completions go along where they were made."""

from pathlib import Path

from setuptools import setup

PLACES = {
    "docs/virt-salvage.1": "share/man/man1",
    "docs/completion/virt-salvage.bash": "share/bash-completion/completions",
    "docs/completion/_virt-salvage": "share/zsh/site-functions",
    "docs/completion/virt-salvage.fish": "share/fish/vendor_completions.d",
}

setup(data_files=[(place, [name]) for name, place in PLACES.items() if Path(name).exists()])
