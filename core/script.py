"""A planned session as a shell script: the same by hand, taken down whatever happens.

Each command is followed by the call that remembers its way back; a trap goes through these, last first, at
the end, after an error and after a signal. Bash, for its arrays; see `trap` in bash(1). It mounts in
everybody's sight: in a namespace of its own, its exports would live in what they serve, see `core.namespace`.
"""

import os
from collections.abc import Sequence

from core.command import Command
from core.i18n import _
from core.namespace import STEP_IN
from core.text import quoted, safe

_HEAD = """\
set -eu
umask 077
export LC_ALL=C.UTF-8
# {names}
[ -e /run/udev/control ] || export DM_DISABLE_UDEV=1
back=()
stop=

# {later}
later() {{
    back+=("$(printf '%q ' "$@")")
    [ -z "$stop" ] || exit 130
}}

# {ended}
ended() {{
    kill "$1"
    wait "$1" || :
}}

# {above}
above() {{
    local made=() at=$1
    until [ -d "$at" ]; do
        made+=("$at")
        at=$(dirname -- "$at")
    done
    mkdir --parents -- "$1"
    later emptied "${{made[@]}}"
}}

# {emptied}
emptied() {{
    [ "$#" -eq 0 ] || rmdir --ignore-fail-on-non-empty -- "$@"
}}

# {down}
down() {{
    status=$?
    trap '' INT TERM HUP
    set +e
    while [ "${{#back[@]}}" -gt 0 ]; do
        eval "${{back[-1]}}" || {{
            printf '%s\\n' {stuck} >&2
            for (( n = ${{#back[@]}} - 1; n >= 0; n-- )); do printf '    %s\\n' "${{back[n]}}" >&2; done
            exit 1
        }}
        unset 'back[-1]'
    done
    exit "$status"
}}
trap down EXIT
trap 'stop=yes' INT TERM HUP
"""
_MAKE = ("mkdir", "--parents")
_LONGEST = "60"
"""Seconds that the script waits for what is to appear."""


def script(commands: Sequence[Command], disk: str, *, stays: bool = False) -> str:
    """The text of the script for the planned `commands` on `disk`.

    With `stays` it waits for a word before it takes down what it put up.
    """
    lines = [
        "#!/bin/bash",
        *_remark(_("What virt-salvage does with {disk}, by hand.").format(disk=safe(disk))),
        *_remark(_("The disk is never written to. Let no program write to it while this runs.")),
        "",
    ]
    lines += _head().splitlines()
    lines += _steps([command for command in commands if command.argv != STEP_IN])
    if stays:
        lines += ["", "trap 'exit 130' INT TERM HUP"]
        lines.append("read -r -p " + quoted(_("Enter takes it all down: ")) + " || :")
    return "\n".join(lines) + "\n"


def _head() -> str:
    return _HEAD.format(
        names=_("Without udev nobody else makes the names in /dev/mapper."),
        later=_("Remembers how the last command is undone; a signal is heeded only then."),
        ended=_("Ends what was started in the background."),
        above=_("Makes the folders above one, and remembers those that were not there."),
        emptied=_("Removes folders, unless something else lies in them by now."),
        down=_("Takes everything down, last first; stops at what does not go, for the rest stands on it."),
        stuck=quoted(_("This did not go. When nobody holds it any more, give these by hand:")),
    )


def _steps(commands: Sequence[Command]) -> list[str]:
    """The commands with their ways back; `standing` mirrors the script's array, None for what is settled."""
    lines: list[str] = []
    standing: list[str | None] = []
    for command in commands:
        lines += ["", *_remark(command.why)]
        if command.undo and command.argv[:2] == _MAKE:
            lines.append(f"above {quoted(os.path.dirname(command.argv[-1]) or '.')}")
            standing.append(None)
        lines.append(_line(command))
        settled = _call(command)
        if settled in standing:  # the kernel does it by itself from here on
            lines.append(f"back[{standing.index(settled)}]=:")
            standing[standing.index(settled)] = None
        for undo in reversed(command.undo):
            call = _call(undo, ended=command.background)
            lines.append(f"later {call}")
            standing.append(call)
    return lines


def _line(command: Command) -> str:
    line = command.shell()
    if command.by_hand and command.argv[:2] == ("sh", "-c"):
        line = f"timeout {_LONGEST} {line}"
    if command.good == {0} or command.background:
        return line
    good = "|".join(str(status) for status in sorted(command.good))
    return f"{line} || case $? in {good}) ;; *) exit 1 ;; esac"


def _call(command: Command, *, ended: bool = False) -> str:
    """The command as words that can be remembered: their variables are filled in at once."""
    line = command.shell()
    if command.given or command.environment:
        return f"bash -c {quoted(line)}"
    return f"ended {line.removeprefix('kill ')}" if ended and command.argv[0] == "kill" else line


def _remark(text: str) -> list[str]:
    return [f"# {line}" for line in safe(text).splitlines()]
