# The victim's process 1: mounts what it has and writes until somebody pulls the plug.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/ LC_ALL=C.UTF-8
lvm vgchange --config 'activation{udev_sync=0 udev_rules=0} devices{obtain_device_list_from_udev=0}' -ay guest
lvm vgmknodes --config 'activation{udev_sync=0 udev_rules=0} devices{obtain_device_list_from_udev=0}' guest
mount -t xfs /dev/vda2 /srv/xfs
mount -t btrfs /dev/vda3 /srv/btrfs
mount -t ext4 /dev/guest/data /srv/data
mount -t xfs /dev/guest/db /srv/db
mkdir /dev/shm
mount -t tmpfs tmpfs /dev/shm
option() { sed -n "s/.*victim\.$1=\([0-9]*\).*/\1/p" /proc/cmdline; }
stty -F /dev/ttyS1 raw -echo
exec python3 /workload.py "$(option seed)" "$(option cluster)" /dev/ttyS1 \
    /srv/root /srv/xfs/w /srv/btrfs/w /srv/data/w /srv/db/w
