"""The volume groups that the physical volumes of one disk make up."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from core.i18n import _, enumerated, ngettext, sentences
from core.text import safe
from core.volumes.lvm.label import Label, Text, Texts, read_label
from core.volumes.lvm.model import Group, group_of
from core.volumes.lvm.text import BadText
from core.volumes.lvm.unlabelled import labels_of, read_unlabelled
from core.volumes.readable import Readable


def read_groups(
    source: Readable, places: Iterable[tuple[int, int]], bare: Iterable[tuple[int, int]] = ()
) -> tuple[list[Group], list[Label]]:
    """The groups on a disk, and all labels; `places` are offset and size in bytes of what may be a member.

    A physical volume without metadata belongs to the group whose metadata name it. In `bare`, places of
    which nothing is known, members are looked for that have lost their label.
    """
    places, bare, known = list(places), list(bare), Texts()
    groups, labels = _read(source, places, bare, known, search=False)
    named = {text.section["id"] for label in labels for text in label.texts}
    if named - {group.uuid for group in groups}:  # one makes no sense: an older text of it may
        groups, labels = _read(source, places, bare, known, search=True)
    return groups, labels


def _read(
    source: Readable,
    places: Iterable[tuple[int, int]],
    bare: Iterable[tuple[int, int]],
    known: Texts,
    *,
    search: bool,
) -> tuple[list[Group], list[Label]]:
    found = (read_label(source, offset, size, known, search=search) for offset, size in places)
    labels = _without_copies([label for label in found if label])
    lost = (read_unlabelled(source, offset, size, known, search=search) for offset, size in bare)
    labels += labels_of(source, [one for one in lost if one], labels)
    texts: dict[str, list[Text]] = {}
    for label in labels:
        for text in label.texts:
            texts.setdefault(str(text.section["id"]), []).append(text)
    groups = [group for one in texts.values() if (group := _newest(one, labels))]
    return _without_forerunners(groups, labels), labels


def _without_copies(labels: Sequence[Label]) -> list[Label]:
    """Of those with one UUID at several places only that with the newest metadata is read, or the first.

    LVM activates neither; which of them is meant nobody can tell, so it is told.
    """
    several: dict[str, dict[int, Label]] = {}
    for label in labels:
        several.setdefault(label.uuid, {}).setdefault(label.offset, label)
    read = {uuid: max(twins.values(), key=_age).offset for uuid, twins in several.items() if len(twins) > 1}
    found = []
    for label in labels:
        if label.uuid not in read:
            found.append(label)
        elif label.offset == read[label.uuid]:
            told = _(
                "Another LVM physical volume here has the same UUID: one is a copy of the other. This one"
                " is read."
            )
            found.append(replace(label, problems=(*label.problems, told)))
        else:
            told = _(
                "Another LVM physical volume here has the same UUID: one is a copy of the other. The other"
                " one is read, not this one."
            )
            found.append(replace(label, uuid="", texts=(), problems=(*label.problems, told)))
    return found


def _age(label: Label) -> tuple[int, int]:
    number = max((text.number for text in label.texts if text.current), default=-1)
    return number, -label.offset


def _newest(texts: Sequence[Text], labels: Sequence[Label]) -> Group | None:
    """The group as its newest whole text tells it; None where none makes sense."""
    found = {label.uuid: (label.offset, label.size) for label in labels if label.uuid}
    current = max((text.number for text in texts if text.current), default=None)
    for text in sorted(texts, key=lambda one: (-one.number, not one.current)):
        if current is not None and text.number > current:
            continue  # written, and never made the valid one
        try:
            group = group_of(text.name, text.section, found)
        except BadText:
            continue
        return replace(group, problems=(*_of_text(text, current), *_of_members(group)))
    return None


def _of_text(text: Text, current: int | None) -> list[str]:
    if text.current:
        return []
    if current is None:
        told = _(
            "No copy of the metadata of the group {group} is whole. An older one was found in the ring of its"
            " metadata area (change {number}); what was changed after it is not known."
        )
    else:
        told = _("The newest metadata of the group {group} make no sense; an older copy is used ({number}).")
    return [told.format(group=safe(text.name), number=text.number)]


def _of_members(group: Group) -> list[str]:
    missing = [one for one in group.physical.values() if one.offset is None]
    told = []
    if missing:
        names = enumerated(safe(one.device or one.name) for one in missing)
        away = ngettext(
            "{count} of the {all} physical volumes of the group {group} is not on this disk: {names}.",
            "{count} of the {all} physical volumes of the group {group} are not on this disk: {names}.",
            len(missing),
        ).format(count=len(missing), all=len(group.physical), group=safe(group.name), names=names)
        told.append(sentences((away, _("Give the other disks too: DISK,DISK2; in the wizard, a."))))
    for one in group.physical.values():
        needed = one.data + one.extents * group.extent
        if one.offset is not None and needed > one.length:
            told.append(
                _("The physical volume {name} of the group {group} is cut short.").format(
                    name=safe(one.device or one.name), group=safe(group.name)
                )
            )
    return told


def _without_forerunners(groups: list[Group], labels: Sequence[Label]) -> list[Group]:
    """Without the groups of an earlier life of a disk, whose texts still lie in a metadata area.

    A physical volume belongs to one group only: to that which an area names as valid.
    """
    valid = {str(text.section["id"]) for label in labels for text in label.texts if text.current}
    taken = {
        one.uuid
        for group in groups
        if group.uuid in valid
        for one in group.physical.values()
        if one.offset is not None
    }
    kept = []
    for group in groups:
        own = {one.uuid for one in group.physical.values() if one.offset is not None}
        if group.uuid in valid or (own and not own & taken):
            kept.append(group)
    return kept
