"""Whether the parts of a description fit together: what nobody sees who looks at one value alone."""

from collections.abc import Iterator
from contextlib import suppress

from core.i18n import _, enumerated
from core.lab import facts, lvm
from core.lab.crypt import HEADER
from core.lab.lab import Lab
from core.lab.needs import NEEDS
from core.lab.section import LARGEST
from core.text import safe

RESERVED = ("own", "results")
"""Folders beside those of the labs."""


def mistakes(lab: Lab) -> Iterator[str]:
    """What does not fit together, a sentence each."""
    if lab.name in RESERVED:
        yield _("name: {name} is taken by a folder of the program.").format(name=lab.name)
    numbers = {part.number for part in lab.partitions} | ({0} if lab.disk.table == "none" else set())
    layers = [(one.partition, "lvm") for one in lab.groups] + [(one.partition, "luks") for one in lab.crypts]
    layers += [(number, "mirror") for one in lab.mirrors for number in one.partitions]
    for number, where in layers:
        if number not in numbers:
            yield _("{where}: there is no partition {number}.").format(where=where, number=number)
    numbers |= {one.number for group in lab.groups for one in group.volumes}
    numbers |= {one.number for one in lab.crypts} | {one.number for one in lab.mirrors}
    if len({part.number for part in lab.partitions}) != len(lab.partitions):
        yield _("partition: a number is there twice.")
    concerned = [("filesystem", one.partition) for one in lab.file_systems]
    concerned += [("file", one.partition) for one in lab.files]
    concerned += [
        ("damage", int(one.values["partition"])) for one in lab.damages if "partition" in one.values
    ]
    if lab.goal.kind == "recover":
        concerned.append(("goal", lab.goal.partition))
    for where, number in concerned:
        if number not in numbers:
            yield _("{where}: there is no partition {number}.").format(where=where, number=number)
    made = {one.partition for one in lab.file_systems}
    for plan in lab.files:
        if plan.partition in numbers - made:
            yield _("file: partition {number} has no file system.").format(number=plan.partition)
    for need in lab.needs:
        if need not in NEEDS:
            yield _("needs: must be some of {names}.").format(names=enumerated(NEEDS))
    yield from _places(lab)
    yield from _texts(lab)


def _places(lab: Lab) -> Iterator[str]:
    sizes = {part.number: part.size or (part.end - part.start + 1) * 512 for part in lab.partitions}
    for group in lab.groups:
        wanted = sum(one.size + (one.gap << 20) + lvm.EXTENT * 512 for one in group.volumes)
        if wanted + lvm.FIRST * 512 > sizes.get(group.partition, wanted * 2):
            yield _("lvm: the volumes of {name} do not fit into partition {number}.").format(
                name=group.name, number=group.partition
            )
    for crypt in lab.crypts:
        if sizes.get(crypt.partition, HEADER * 2) <= HEADER:
            yield _("luks: partition {number} is too small.").format(number=crypt.partition)
    if any(plan.type == "ntfs" for plan in lab.file_systems) and not {"root", "ntfs-3g"} <= {*lab.needs}:
        yield _('needs: ntfs wants needs = ["root", "ntfs-3g"].')
    for part in lab.partitions:
        if lab.disk.table == "msdos":
            with suppress(ValueError):
                int(part.type, 16)
                continue
            told = _("partition {number}: the type of a classical table is a hexadecimal number such as 83.")
            yield told.format(number=part.number)
    total = sum(part.size or (part.end - part.start + 1) * 512 for part in lab.partitions)
    if total > LARGEST:
        yield _("partition: together they are larger than 8G.")
    if lab.disk.table == "none" and (lab.partitions or not lab.disk.size):
        yield _("disk: without a table it has a size and no partitions.")


def _texts(lab: Lab) -> Iterator[str]:
    known = facts.names(lab)
    texts = [lab.ticket, *lab.attachments.values(), lab.after.happened, lab.after.safe, *lab.after.commands]
    texts += [hint.text for hint in lab.hints]
    texts += [lab.goal.question, lab.goal.answer]
    texts += [text for one in lab.guide.values() for text in (one.look, one.why, one.next)]
    texts += [text for one in lab.quizzes for text in (one.question, *(a.text for a in one.answers))]
    texts += [a.why for one in lab.quizzes for a in one.answers]
    texts += [text for one in lab.wrongs for text in (one.told, *one.commands)]
    for name in dict.fromkeys(name for text in texts for name in facts.unknown(text, known)):
        yield _("{{{name}}}: nothing can be put in there; there are {names}.").format(
            name=safe(name), names=enumerated(sorted(known))
        )
