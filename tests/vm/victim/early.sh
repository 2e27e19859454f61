#!/bin/sh
# The victim's first program: loads its drivers and hands over to the root on its own disk.
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
while read -r module; do
    insmod "/modules/$module"
done </modules/order
mount -t ext4 /dev/vda1 /root
for folder in proc sys dev; do
    mount --move "/$folder" "/root/$folder"
done
exec switch_root /root /bin/sh /init.sh
