#!/bin/sh
# The first program of the test machine: finds the shares and the root, and hands over to it.
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
while read -r module; do
    insmod "/modules/$module"
done </modules/order

# The order of the disks can differ from boot to boot, their serial numbers cannot.
root=/dev/ubda
for disk in /sys/block/vd*; do
    [ ! -e "$disk/serial" ] || read -r serial <"$disk/serial"
    [ "$serial" != vm-root ] || root=/dev/${disk##*/}
done
mount -t squashfs -o ro "$root" /lower
mount -t tmpfs -o size=50% tmpfs /upper
mkdir /upper/data /upper/work
mount -t overlay -o lowerdir=/lower,upperdir=/upper/data,workdir=/upper/work overlay /root
mkdir -p /root/run
mount -t tmpfs -o mode=755 tmpfs /root/run
cp /init.sh /root/run/init.sh
for folder in proc sys dev; do
    mount --move "/$folder" "/root/$folder"
done
exec switch_root /root /bin/sh /run/init.sh
