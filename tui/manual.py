"""The man page and the completions of the shells, made from the parsers that give the help.

python -m tui.manual     writes them anew, into docs/
"""

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from core import __version__
from core.disks.convert import WRITTEN
from core.disks.formats import NAMES
from core.errors import Exit
from core.lab.catalogue import built_in
from core.volumes.filesystems import FILE_SYSTEMS
from tui.verbs import parsers

FOLDER = Path(__file__).parent.parent / "docs"
NAME = "virt-salvage"
_EXITS = {
    Exit.DONE: "done",
    Exit.FAILED: "failed; the message says what happened, what it means for the data, what to do next",
    Exit.USAGE: "wrong usage",
    Exit.REFUSED: "refused, because going on would be unsafe",
    Exit.IN_PART: "done in part: what could not be read or kept is listed",
    Exit.INTERRUPTED: "interrupted, everything taken down",
}
_ABOUT = (
    "Without a verb a wizard opens, which goes from the disk to the files step by step. The disk is never"
    " written to: every write lands in an overlay or a copy. What the program puts up on the host (loop"
    " devices, exports, mounts) it takes down again, also after it was killed.",
    "VOLUME is an id as inspect prints it: the number of a partition, disk for a file system on the whole"
    " disk, VG/LV for a logical volume, 5/luks for what an encrypted partition holds, md:NAME for an array.",
)
_EXAMPLES = (
    ("inspect web01.qcow2", "Format, chain, partition table and contents."),
    ("copy web01.qcow2 5 /home /srv/rescued", "Copies a folder out, with checksums and a report."),
    ("mount web01.qcow2 5 /mnt/web01", "Mounts a volume for other tools; it stays until undo."),
    ("undo --all", "Takes down what is up, last first."),
    ("--linear web01.qcow2", "The wizard as questions and answers."),
)
_FILES = (
    ("/var/lib/virt-salvage", "journals, overlays and practice disks; --state-dir names another place"),
    ("~/.local/state/virt-salvage", "the same for an ordinary user"),
)
_KNOWN: Mapping[str, Sequence[str]] = {
    "--format": NAMES,
    "--to": (*WRITTEN,),
    "--fs": (*FILE_SYSTEMS,),
    "--lang": ("en", "zh_CN"),
}
"""What the completions offer where the parser takes any word, because the core says what is wrong with it."""


def made() -> dict[str, str]:
    """Each file below `FOLDER` with the text that it should have."""
    return {
        f"{NAME}.1": man_page(),
        f"completion/{NAME}.bash": bash(),
        f"completion/_{NAME}": zsh(),
        f"completion/{NAME}.fish": fish(),
    }


# -- the man page: man(7) -------------------------------------------------------------------------


def man_page() -> str:
    """The page in the language of man(7)."""
    parser, verbs = parsers()
    lines = [
        f'.TH VIRT-SALVAGE 1 "" "{NAME} {__version__}" "User Commands"',
        ".SH NAME",
        _escaped(
            f"{NAME} - {(parser.description or '')[:1].lower()}{(parser.description or '')[1:]}".rstrip(".")
        ),
        ".SH SYNOPSIS",
        *(
            f".B {NAME}\n{_escaped(rest)}\n.br"
            for rest in ("[OPTION]... [DISK]", "VERB [OPTION]... ARGUMENT...")
        ),
        ".SH DESCRIPTION",
    ]
    for text in _ABOUT:
        lines += [".PP", _escaped(text)]
    lines += [".SH VERBS"]
    shared = {option for action in _options(parser) for option in action.option_strings}
    for name, verb in verbs.items():
        words = " ".join(_word(action) for action in _arguments(verb))
        lines += [f'.SS "{_escaped(f"{name} {words}".strip())}"', _escaped(_sentence(verb.description))]
        for action in (*_arguments(verb), *_options(verb)):
            if not shared.issuperset(action.option_strings or ["argument"]):
                lines += _item(action)
    lines += [".SH OPTIONS"]
    for action in _options(parser):
        lines += _item(action)
    lines += [".SH EXIT STATUS"]
    for status, told in _EXITS.items():
        lines += [".TP", f".B {int(status)}", _escaped(told)]
    lines += [".SH FILES"]
    for path, told in _FILES:
        lines += [".TP", f".I {_escaped(path)}", _escaped(told)]
    lines += [".SH EXAMPLES"]
    for call, told in _EXAMPLES:
        lines += [".TP", f".B {_escaped(f'{NAME} {call}')}", _escaped(told)]
    lines += [".SH SEE ALSO"]
    seen = ("qemu-img", "qemu-storage-daemon", "losetup", "kpartx", "mount", "sfdisk", "ddrescue")
    pages = {"qemu-img": 1, "qemu-storage-daemon": 1, "ddrescue": 1}
    lines.append(",\n".join(f".BR {_escaped(name)} ({pages.get(name, 8)})" for name in seen))
    return "\n".join(lines).replace(",\n.BR", " ,\n.BR") + "\n"


def _item(action: argparse.Action) -> list[str]:
    word = _word(action)
    names = ", ".join(f"{name} {word}".strip() for name in action.option_strings) or word
    told = _sentence(action.help)
    if action.choices and action.option_strings:
        told += " One of: " + ", ".join(map(str, action.choices)) + "."
    return [".TP", f".B {_escaped(names)}", _escaped(told.strip() or "See above.")]


def _sentence(text: str | None) -> str:
    text = (text or "").replace("%%", "%")
    return text[:1].upper() + text[1:] + ("" if not text or text.endswith(".") else ".")


def _escaped(text: str) -> str:
    """Text of which no character is an instruction: a backslash, a hyphen, a dot at the beginning."""
    text = text.replace("\\", r"\e").replace("-", r"\-").replace("`", "").replace("…", "...")
    text = text.replace("'", r"\(aq").replace('"', r"\(dq")
    return r"\&" + text if text.startswith(".") else text


# -- completions ------------------------------------------------------------------------------------


def bash() -> str:
    """For bash: see `complete` in bash(1)."""
    parser, verbs = parsers()
    lines = [
        f"# Completion of {NAME} for bash; made by python -m tui.manual",
        "_virt_salvage() {",
        "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} verb= one words=",
        '    for one in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
        f"        case $one in {'|'.join(verbs)}) verb=$one; break ;; esac",
        "    done",
        "    case $verb,$before in",
    ]
    for verb, action in _all_options(parser, verbs):
        if choices := " ".join(_values(action)):
            names = "|".join(f"{verb or '*'},{name}" for name in action.option_strings)
            lines += [
                f"        {names})",
                f'            COMPREPLY=($(compgen -W "{choices}" -- "$word")); return ;;',
            ]
    lines += ["    esac", "    case $verb in"]
    for name, verb_parser in verbs.items():
        lines.append(f'        {name}) words="{" ".join(_names(verb_parser))}" ;;')
    lines += [
        f'        *) words="{" ".join((*verbs, *_names(parser)))}" ;;',
        "    esac",
    ]
    for name, verb_parser in verbs.items():
        words = _first_choices(verb_parser)
        if words:
            lines.append(f'    [[ $before != {name} ]] || words+=" {" ".join(words)}"')
            for second in filter(None, [" ".join(_second_choices(name))]):
                lines.append(f'    [[ $verb != {name} || " {" ".join(words)} " != *" $before "* ]] ||')
                lines.append(f'        words="{second}"')
    lines += [
        '    COMPREPLY=($(compgen -W "$words" -- "$word"))',
        '    [[ $word == -* ]] || { compopt -o filenames; mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY'
        ' < <(compgen -f -- "$word"); }',
        "}",
        f"complete -F _virt_salvage {NAME}",
    ]
    return "\n".join(lines) + "\n"


def zsh() -> str:
    """For zsh: see zshcompsys(1)."""
    parser, verbs = parsers()
    lines = [
        f"#compdef {NAME}",
        f"# Completion of {NAME} for zsh; made by python -m tui.manual",
        "local verb one",
        "local -a verbs everywhere",
        "verbs=(",
        *(f"    {_single(f'{name}:{verb.description}')}" for name, verb in verbs.items()),
        ")",
        'for one in "${(@)words[2,CURRENT-1]}"; do',
        "    [[ -n ${(M)verbs:#${one}:*} ]] && verb=$one && break",
        "done",
        "case $verb in",
    ]
    for name, verb in verbs.items():
        lines += [
            f"    {name})",
            "        _arguments \\",
            *(f"            {one} \\" for one in _zsh_options(verb)),
        ]
        if words := " ".join(_first_choices(verb)):  # the verb itself is the first word
            lines += ["            '1: :' \\", f"            {_single(f'2:what:({words})')} \\"]
        if seconds := " ".join(_second_choices(name)):
            lines.append(f"            {_single(f'3:which:({seconds})')} \\")
        lines.append(f"            {_single('*:file:_files')} ;;")
    lines += ["    *)", "        _arguments \\", *(f"            {one} \\" for one in _zsh_options(parser))]
    lines += ["            '*: :{_describe verb verbs; _files}' ;;", "esac"]
    return "\n".join(lines) + "\n"


def _zsh_options(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in _options(parser):
        told = re.sub(r"([\[\]:\\])", r"\\\1", _told(action))
        value = ""
        if _takes(action):
            value = f":{(_word(action) or 'value').replace(':', '')}:"
            choices = " ".join(_values(action))
            value += f"({choices})" if choices else "_files"
        for name in action.option_strings:
            yield _single(f"*{name}[{told}]{value}")


def fish() -> str:
    """For fish: see complete(1) of fish."""
    parser, verbs = parsers()
    lines = [f"# Completion of {NAME} for fish; made by python -m tui.manual"]
    for name, verb in verbs.items():
        lines.append(
            f"complete -c {NAME} -n __fish_use_subcommand -a {name} -d {_single(verb.description or '')}"
        )
        if words := _first_choices(verb):
            seen, told = f"__fish_seen_subcommand_from {name}", " ".join(words)
            before = _single(f"{seen}; and not __fish_seen_subcommand_from {told}")
            lines.append(f"complete -c {NAME} -n {before} -a {_single(told)}")
            for second in filter(None, [" ".join(_second_choices(name))]):
                behind = _single(f"{seen}; and __fish_seen_subcommand_from {told}")
                lines.append(f"complete -c {NAME} -n {behind} -a {_single(second)}")
    shared = _names(parser)
    for one, action in _all_options(parser, verbs):
        if one and set(action.option_strings) <= set(shared):
            continue
        names = " ".join(
            f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in action.option_strings
        )
        where = f" -n '__fish_seen_subcommand_from {one}'" if one else ""
        value = " -r" if _takes(action) else ""
        if choices := " ".join(_values(action)):
            value = f" -x -a {_single(choices)}"
        lines.append(f"complete -c {NAME}{where} {names}{value} -d {_single(_told(action))}")
    return "\n".join(lines) + "\n"


def _single(text: str) -> str:
    """One word of any of these shells."""
    return "'" + text.replace("'", "’") + "'"


def _told(action: argparse.Action) -> str:
    """The help of an option as one line, without the marks of code."""
    return (action.help or "").replace("`", "").replace("%%", "%").partition(";")[0]


def _all_options(
    parser: argparse.ArgumentParser, verbs: Mapping[str, argparse.ArgumentParser]
) -> Iterator[tuple[str, argparse.Action]]:
    """Every option with its verb; an empty one for those of the program itself."""
    for name, one in {"": parser, **verbs}.items():
        for action in _options(one):
            yield name, action


def _options(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return [action for action in parser._actions if action.option_strings]


def _arguments(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return [action for action in parser._actions if not action.option_strings]


def _names(parser: argparse.ArgumentParser) -> list[str]:
    return [name for action in _options(parser) for name in action.option_strings]


def _first_choices(parser: argparse.ArgumentParser) -> list[str]:
    """The words that the first argument can be, where they are known."""
    first = next(iter(_arguments(parser)), None)
    return [str(one) for one in first.choices or ()] if first else []


def _second_choices(verb: str) -> list[str]:
    """The words that the argument behind the first can be: the labs that come with the program."""
    return [lab.name for lab in built_in()] if verb == "lab" else []


def _values(action: argparse.Action) -> Sequence[str]:
    """What can stand behind the option, where that is known; the parser itself lets more through."""
    if action.choices:
        return [*map(str, action.choices)]
    return _KNOWN.get(action.option_strings[-1], ()) if action.option_strings else ()


def _takes(action: argparse.Action) -> bool:
    """Whether the option has a value behind it."""
    return action.nargs != 0


def _word(action: argparse.Action) -> str:
    if action.option_strings and not _takes(action):
        return ""
    name = str(action.metavar or action.dest.upper())
    if action.nargs in ("?", "*"):
        return f"[{name}]"
    return name


def main() -> None:
    """Write every file that is made from the parsers."""
    for name, text in made().items():
        path = FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
