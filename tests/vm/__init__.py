"""A small Debian machine for what this host's kernel lacks: device mapper, nbd, md, vfat and udev."""
