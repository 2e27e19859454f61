"""The report beside a copy: what was done, in JSON for programs, in Markdown and HTML for people.

``salvage-report.json``, ``.md`` and ``.html`` tell the disk, the volume, every command with why it was run,
what was read and what was not, and the state of the host before and after.
"""

import errno
import os
import stat
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from core import __version__
from core.documents import json_text
from core.errors import NoSpace, SalvageError
from core.files import labels
from core.files.entry import iso_time
from core.files.kernel import flush, rename_new
from core.files.manifest import candidates, listed
from core.files.markdown import block, plain, span
from core.files.outcome import Copied, verified_told
from core.files.target import PART
from core.files.webpage import page
from core.i18n import _, sentences, titled
from core.runner import Ran
from core.text import duration, grouped, safe, size

JSON_NAME = b"salvage-report.json"
MARKDOWN_NAME = b"salvage-report.md"
HTML_NAME = b"salvage-report.html"


@dataclass(frozen=True, slots=True)
class Report:
    """Where the forms of the report lie."""

    json: Path
    markdown: Path
    html: Path

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.json, self.markdown, self.html)


def write_report(
    dest: Path,
    facts: Mapping[str, object],
    copied: Copied,
    transcript: Sequence[Ran],
    before: Mapping[str, object],
    after: Mapping[str, object],
    prefix: bytes = b"",
) -> Report:
    """Write the report into the folder `dest`; `prefix` stands before its names beside an archive.

    `facts` has what is known of the disk and the volume (and whatever else is to be told), `before`
    and `after` the state of the host: values of plain JSON. The report of an earlier copy into the
    same folder is kept under another name; a file of the guest that bears the name is left alone.
    Raises `SalvageError`, `NoSpace` when the target is full.
    """
    written = iso_time(int(time.time()) * 1_000_000_000)
    document = {
        "program": "virt-salvage",
        "version": __version__,
        "written": written,
        **facts,
        "commands": [_command(ran) for ran in transcript],
        "copied": {
            **copied.to_json(),
            "directories": copied.directories,
            "symlinks": copied.symlinks,
            "others": copied.others,
            "skipped_same": copied.skipped_same,
            "owners": copied.owners.to_json(),
        },
        "host_before": before,
        "host_after": after,
    }
    lines = [*_head(written, copied, after), *_markdown(facts, copied, transcript, before, after)]
    text = "\n".join(lines) + "\n"
    try:
        directory = os.open(dest, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            guests = frozenset[bytes]() if prefix else _guests(copied.manifest)
            data = json_text(document, 1).encode("ascii") + b"\n"
            machine = _put(directory, prefix + JSON_NAME, data, guests)
            people = _put(directory, prefix + MARKDOWN_NAME, text.encode("utf-8", "backslashreplace"), guests)
            shown = page(text, copied, _("What virt-salvage recovered"))
            web = _put(directory, prefix + HTML_NAME, shown.encode("utf-8", "backslashreplace"), guests)
            flush(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise _not_written(dest, error) from error
    return Report(dest / os.fsdecode(machine), dest / os.fsdecode(people), dest / os.fsdecode(web))


def _guests(manifest: Path) -> frozenset[bytes]:
    """The names at the top of the folder that came from the guest."""
    with open(manifest, "rb") as lines:
        return frozenset(path for path, _line in listed(lines) if b"/" not in path)


def _put(directory: int, name: bytes, data: bytes, guests: frozenset[bytes]) -> bytes:
    """Write a file under the first name of its row that the guest has not taken; that name."""
    chosen = next(
        candidate
        for candidate in candidates(name)
        if candidate not in guests and _free_or_file(directory, candidate)
    )
    temporary = PART + name
    _remove(directory, temporary)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open(os.open(temporary, flags, 0o600, dir_fd=directory), "wb") as sink:
            sink.write(data)
        _set_aside(directory, chosen)
        os.rename(temporary, chosen, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        _remove(directory, temporary)
        raise
    return chosen


def _free_or_file(directory: int, name: bytes) -> bool:
    try:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return True
    return stat.S_ISREG(status.st_mode)


def _set_aside(directory: int, name: bytes) -> None:
    """Keep the report of an earlier copy under the next free number."""
    stem, dot, ending = name.rpartition(b".")
    for number in count(1):
        try:
            rename_new(directory, name, b"%s.earlier-%d%s%s" % (stem, number, dot, ending))
            return
        except FileExistsError:
            continue
        except FileNotFoundError:
            return


def _remove(directory: int, name: bytes) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=directory)


def _not_written(dest: Path, error: OSError) -> SalvageError:
    kind = NoSpace if error.errno in (errno.ENOSPC, errno.EDQUOT) else SalvageError
    return kind(
        _("The report could not be written to {path}: {reason}.").format(
            path=safe(dest), reason=safe(os.strerror(error.errno or 0))
        ),
        _("The copied files and their checksums are there and whole."),
        _("Make room there or look after the target, and run the same command again."),
    )


def _command(ran: Ran) -> dict[str, object]:
    command, result = ran.command, ran.result
    return {
        "argv": list(command.argv),
        "why": command.why,
        "effect": command.effect,
        "undo": [list(undo.argv) for undo in command.undo],
        "by_hand": command.by_hand,
        "when": iso_time(int(ran.when * 1000) * 1_000_000),
        "status": result.status if result else None,
        "seconds": round(result.seconds, 3) if result else None,
    }


def _head(written: str, copied: Copied, after: Mapping[str, object]) -> list[str]:
    """What one wants to know who reads no further."""
    lines = ["# " + _("What virt-salvage recovered"), ""]
    told = _("Files recovered: {files}, {size}.").format(files=grouped(copied.files), size=size(copied.bytes))
    if copied.whole:
        told = sentences((told, _("All that was chosen was read, and all of it was kept.")))
    unread = sum(gap.why == "unread" for gap in copied.unreadable)
    for gaps, many in (
        (_("Not read: {count}; they are listed below."), unread),
        (_("Not copied: {count}; they are listed below."), len(copied.unreadable) - unread),
    ):
        if many:
            told = sentences((told, gaps.format(count=grouped(many))))
    if copied.lost_metadata:
        lost = _("Not wholly kept by the target: {count}; they are listed below.")
        told = sentences((told, lost.format(count=grouped(len(copied.lost_metadata)))))
    lines += [plain(told), ""]
    proof = after.get("proof")
    if isinstance(proof, Mapping) and proof.get("sentence"):
        first, *left = str(proof["sentence"]).split("\n")
        lines += [plain(first), "", *(f"- {plain(one.strip())}" for one in left), *([""] if left else [])]
    by = _("Written {when} by virt-salvage {version} on {host}.")
    return [*lines, plain(by.format(when=written, version=__version__, host=safe(os.uname().nodename))), ""]


def _markdown(
    facts: Mapping[str, object],
    copied: Copied,
    transcript: Sequence[Ran],
    before: Mapping[str, object],
    after: Mapping[str, object],
) -> list[str]:
    lines = ["## " + _("What was copied"), ""]
    for label, value in (
        (_("Files"), grouped(copied.files)),
        (_("Folders"), grouped(copied.directories)),
        (_("Symbolic links"), grouped(copied.symlinks)),
        (_("Pipes and sockets"), grouped(copied.others)),
        (_("Size"), size(copied.bytes)),
        (_("Time"), duration(copied.seconds)),
        (_("Already there"), grouped(copied.skipped_same)),
    ):
        lines.append("- " + titled(label, value))
    lines.append("- " + titled(_("Checksums"), span(copied.manifest.name)))
    lines.append("- " + titled(_("Read back and compared"), span(verified_told(copied))))
    if copied.sidecar:
        lines.append("- " + titled(_("What the target could not keep"), span(copied.sidecar.name)))
    lines += ["", "## " + _("What was not read or not copied"), ""]
    lines += ["- " + titled(span(gap.path), plain(gap.error)) for gap in copied.unreadable] or [_("Nothing.")]
    lines += ["", "## " + _("What the target could not keep"), ""]
    lines += ["- " + titled(span(lost.path), plain(lost.what)) for lost in copied.lost_metadata] or [
        _("Nothing.")
    ]
    lines += ["", "## " + _("Where it came from"), "", *_outline(facts, 0)]
    lines += ["", "## " + _("Owners, as the guest calls them"), ""]
    unknown, user, group = _("unknown"), _("user"), _("group")
    for number, name in copied.owners.users:
        lines.append("- " + titled(f"{user} {number}", span(name) if name else unknown))
    for number, name in copied.owners.groups:
        lines.append("- " + titled(f"{group} {number}", span(name) if name else unknown))
    lines += ["", "## " + _("Every command that was run"), ""]
    for ran in transcript:
        lines += _told(ran)
    lines += ["## " + _("The host before"), "", *_outline(before, 0)]
    lines += ["", "## " + _("The host after"), "", *_outline(after, 0)]
    return lines


def _told(ran: Ran) -> list[str]:
    lines = [plain(ran.command.why), "", *block([ran.command.shell()]), ""]
    if ran.result is None:
        return [*lines, _("It was only planned."), ""]
    status = _("Exit status {status}, after {time}.")
    return [*lines, status.format(status=ran.result.status, time=duration(ran.result.seconds)), ""]


def _eased(key: str, value: object) -> object:
    """A number of bytes with its unit beside it, and yes or no instead of a programmer's words."""
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, int) and key.endswith("size") and value >= 1024:
        return f"{size(value)} ({value})"
    return labels.told(key, value)


def _outline(value: object, depth: int) -> list[str]:
    """Nested values as a nested list."""
    indent = "  " * depth
    if isinstance(value, Mapping):
        pairs = [
            (titled(plain(labels.label(str(key))), "").rstrip(), _eased(str(key), inner))
            for key, inner in value.items()
        ]
    elif isinstance(value, list | tuple | set | frozenset):
        pairs = [("", inner) for inner in value]
    else:
        return [f"{indent}- {span(str(value))}"]
    lines: list[str] = []
    entry, none = _("Entry"), _("none")
    for label, inner in pairs:
        if isinstance(inner, Mapping | list | tuple | set | frozenset):
            lines.append(f"{indent}- {label or entry}" if inner else f"{indent}- {label} {none}")
            lines += _outline(inner, depth + 1)
        else:
            shown = span(inner if isinstance(inner, bytes) else none if inner is None else str(inner))
            lines.append(f"{indent}- " + f"{label} {shown}".lstrip())
    return lines
