# The victim's process 1: mounts what it has and writes until somebody pulls the plug.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/ LC_ALL=C.UTF-8
lvm vgchange --config 'activation{udev_sync=0 udev_rules=0} devices{obtain_device_list_from_udev=0}' -ay guest
lvm vgmknodes --config 'activation{udev_sync=0 udev_rules=0} devices{obtain_device_list_from_udev=0}' guest
mount -t xfs /dev/vda2 /srv/xfs
mount -t btrfs /dev/vda3 /srv/btrfs
mount -t ext4 /dev/guest/data /srv/data
mount -t xfs /dev/guest/db /srv/db
stty -F /dev/ttyS1 raw -echo
exec python3 /workload.py "$(sed 's/.*victim.seed=\([0-9]*\).*/\1/' /proc/cmdline)" /dev/ttyS1 \
    /srv/root /srv/xfs/w /srv/btrfs/w /srv/data/w /srv/db/w
