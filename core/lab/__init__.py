"""Practice disks: built, broken and checked."""
