"""A machine of our own with a disk of its own, to be killed while it writes: what virt-salvage is for."""
