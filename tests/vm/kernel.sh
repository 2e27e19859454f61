# Runs while mmdebstrap still has its package lists; $1 is the new root.
# Takes the kernel and the modules of interest out of its package. Installing it would bring an
# initramfs generator and minutes of its work.
set -eu
new=$(mktemp -d)
cd "$new"
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
kernel=$(apt-cache depends linux-image-amd64 | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
apt-get -qq -o APT::Sandbox::User=root download "$kernel"
dpkg-deb --fsys-tarfile "$kernel"_*.deb | tar -xf - ./boot ./lib/modules
cd lib/modules/*
release=${PWD##*/}
target=$1/usr/lib/modules/$release
mkdir -p "$target/kernel/drivers/scsi" "$target/kernel/drivers/char" "$target/kernel/net" "$target/kernel/arch/x86"
cp modules.builtin modules.builtin.modinfo modules.order "$target"
for folder in arch/x86/crypto block crypto fs lib mm net/9p \
    drivers/ata drivers/block drivers/cdrom drivers/dax drivers/md drivers/nvdimm drivers/nvme drivers/virtio; do
    cp -r "kernel/$folder" "$target/kernel/${folder%/*}/"
done
cp kernel/drivers/scsi/*.ko "$target/kernel/drivers/scsi"
cp kernel/drivers/char/virtio_console.ko "$target/kernel/drivers/char"
cp "$new/boot/vmlinuz-$release" "$1/boot/vmlinuz"
chroot "$1" depmod "$release"
rm -rf "$new"
