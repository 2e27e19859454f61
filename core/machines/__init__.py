"""Virtual machines as things with disks: what libvirt, Proxmox VE and running QEMU processes say of them."""
