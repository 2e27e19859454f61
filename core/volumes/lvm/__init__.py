"""LVM read by this program itself: labels, metadata, and where the bytes of a logical volume lie.

No program of LVM is started: those look at all disks of the host, take its locks, and mix up groups of the
same name. Here a group is what the physical volumes of one disk say, and nothing else.
"""
