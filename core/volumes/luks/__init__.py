"""LUKS: its header read by this program, its key by cryptsetup, its data by the kernel or by QEMU."""
