"""RAID with parity, of md and of LVM: reckoned by this program, and shown by a daemon of its own."""
