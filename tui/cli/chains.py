"""The chain of images behind a disk: drawn, checked, and what may be the missing one."""

import shlex
from collections.abc import Sequence

from core.disks.candidates import Candidate, candidates, missing_link
from core.disks.checking import REPAIR, ImageCheck
from core.disks.model import Disk, Link, Part
from core.errors import Exit, SalvageError
from core.i18n import _, listed, noted
from core.proving import Fit, Proof, prove
from core.text import safe, size
from tui.cli.common import Context


def chain_rows(disk: Disk, checked: Sequence[ImageCheck] = ()) -> list[tuple[str, str]]:
    """The images of the chain, the disk itself first, each with what its own files and tables say."""
    verdicts = {one.path: one for one in checked}
    if len(disk.chain) == 1 and not verdicts:
        return [(_("Data in"), _part(part)) for part in disk.chain[0].parts]
    data_in, checked_told = _("data in {path}"), _("checked: {verdict}")
    rows = []
    for depth, link in enumerate(disk.chain):
        name = safe(disk.title if depth == 0 else link.path)
        lead = "" if depth == 0 else "   " * (depth - 1) + "└─ "
        rows.append((_("Chain") if depth == 0 else "", lead + noted(name, _facts(link))))
        pad = "   " * depth
        rows += [("", f"{pad}   " + data_in.format(path=_part(part))) for part in link.parts]
        rows += [("", f"{pad}   ! {problem}") for problem in link.problems]
        if verdict := verdicts.get(link.path):
            rows.append(("", f"{pad}   " + checked_told.format(verdict=verdict.sentence())))
    return rows


def _facts(link: Link) -> str:
    facts = [link.format]
    if link.virtual_size is not None:
        facts.append(size(link.virtual_size))
    if link.encryption:
        facts.append(_("encrypted"))
    if not link.exists:
        facts.append(_("MISSING"))
    elif link.format != "raw" and not link.problems and all(part.exists for part in link.parts):
        facts.append(_("healthy as far as its header says"))
    return listed(facts)


def _part(part: Part) -> str:
    return noted(safe(part.path), "" if part.exists else _("missing"))


def repair_hint(checked: Sequence[ImageCheck]) -> str:
    """What to do where a check found something; empty where it did not."""
    return _(REPAIR) if any(one.state in ("leaks", "corrupt") for one in checked) else ""


def find_missing(context: Context) -> int:
    """`inspect --candidates`: files that may be the missing one, each tried under the disk."""
    options = context.options
    with context.session() as session:
        assert session.disk
        disk = session.disk
    missing = missing_link(disk)
    if missing is None:
        context.out(_("No image is missing from the chain of {disk}.").format(disk=disk.title))
        return Exit.DONE
    found = candidates(disk, [folder.expanduser() for folder in options.look_in])

    def tell(one: Candidate) -> None:
        context.say(_("Trying {path} on a throw-away overlay.").format(path=safe(one.path)))

    runner = context.runner()
    proofs = prove(
        context.state,
        runner,
        options.disk,
        options.backing,
        options.allow,
        found,
        format=options.format,
        tell=tell,
    )
    if options.json:
        context.json({"missing": safe(missing.path), "candidates": [one.to_json() for one in proofs]})
        return Exit.DONE
    if not proofs:
        raise SalvageError(
            _("No file was found that could be {path}.").format(path=safe(missing.path)),
            _("Nothing was changed."),
            _("Look elsewhere with --look-in FOLDER, or bring it back from the host where the disk lay."),
        )
    context.out(
        _("{disk} lacks {path}. What may be that file:").format(disk=disk.title, path=safe(missing.path))
    )
    for proof in proofs:
        _tell_proof(context, proof)
    best = proofs[0]
    if best.fit in (Fit.PROVED, Fit.LIKELY):
        words = ["virt-salvage", "inspect", options.disk, "--backing", str(best.candidate.path)]
        context.out(_("Work with it: {command}").format(command=safe(shlex.join(words))))
    return Exit.DONE


def _tell_proof(context: Context, proof: Proof) -> None:
    one = proof.candidate
    context.out("  " + noted(safe(one.path), listed((one.format, size(one.virtual_size)))))
    context.out(f"    {_(proof.fit.value)}")
    for told in (*proof.found, *one.clues):
        context.out(f"    - {told}")
