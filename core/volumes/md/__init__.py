"""Software RAID (md) read by this program itself: superblocks, and where the bytes of an array lie.

mdadm is not started, and no member is ever shown to the host as one: its udev rules assemble what they see
(64-md-raid-assembly.rules), and an assembled array that can be written to is resynchronised.
"""
