"""What the fields of a report are called for people: programs read the JSON, where they keep their names."""

from core.i18n import N_, _

_LABELS = {
    "disk": N_("Disk"),
    "disks": N_("Disks"),
    "path": N_("Path"),
    "format": N_("Format"),
    "virtual_size": N_("Size for the machine"),
    "actual_size": N_("Size on this host"),
    "sector_size": N_("Sector size"),
    "chain": N_("Images that it consists of"),
    "exists": N_("Is there"),
    "encryption": N_("Encryption"),
    "problems": N_("Problems"),
    "snapshots": N_("Snapshots"),
    "snapshot": N_("Opened at the snapshot"),
    "held_by": N_("Held by"),
    "volume": N_("Volume"),
    "id": N_("Name"),
    "name": N_("Name"),
    "date": N_("Date"),
    "kind": N_("Kind"),
    "size": N_("Size"),
    "content": N_("Content"),
    "label": N_("Label"),
    "uuid": N_("UUID"),
    "candidates": N_("Also possible"),
    "wanted_size": N_("Size that it should have"),
    "pending": N_("Journal not empty"),
    "state": N_("Opened"),
    "files": N_("Files"),
    "loops": N_("Loop devices"),
    "mappings": N_("Mappings"),
    "arrays": N_("Arrays"),
    "nbd": N_("Network block devices"),
    "mounts": N_("Mounts"),
    "processes": N_("Processes of virt-salvage"),
    "proof": N_("Compared with before"),
    "as_found": N_("As it was found"),
    "sentence": N_("In a sentence"),
    "ours": N_("Left by virt-salvage"),
    "others": N_("Changed by others meanwhile"),
}
_STATES = {
    "left": N_("as it lies on the disk"),
    "overlay": N_("over an overlay, where nothing had to be replayed"),
    "replayed": N_("with its journal replayed in an overlay"),
    "repaired": N_("repaired in an overlay"),
}


def label(key: str) -> str:
    """A field's name in the language; one that has none is shown as it is."""
    return _(_LABELS[key]) if key in _LABELS else key.replace("_", " ")


def told(key: str, value: object) -> object:
    """A value as it is told; most are told as they are."""
    return _(_STATES[value]) if key == "state" and isinstance(value, str) and value in _STATES else value
