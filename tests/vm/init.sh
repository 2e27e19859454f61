# Process 1 of the test machine: the least that makes a Debian root behave like a running server,
# then the commands that arrive on the second serial line, or a shell on the first.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root LC_ALL=C.UTF-8 PYTHONPATH=/checkout PYTEST_DISABLE_PLUGIN_AUTOLOAD=1

option() { sed -n "s/.*\bvm\.$1=\([^ ]*\).*/\1/p" /proc/cmdline; }

mkdir -p /dev/pts /dev/shm /run/lock /run/commands /checkout /scratch /site /disks
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ln -sfn /proc/self/mounts /etc/mtab
ln -sfn /proc/self/fd /dev/fd
hostname vm
busybox ip link set lo up

nine=trans=virtio,version=9p2000.L,msize=512000
share() { # TAG PLACE CACHE: a folder of the host, by its path where the kernel is a program of the host
    path=$(option "share-$1")
    if [ "$path" ]; then mount -t hostfs -o "$path" "$1" "$2"; else mount -t 9p -o "$nine,cache=$3" "$1" "$2"; fi
}
share_modules() { # what Python runs
    share checkout /checkout loose && mount -o remount,ro,bind /checkout
    if share site /site loose 2>/dev/null; then
        mount -o remount,ro,bind /site
        echo /site >/usr/lib/python3/dist-packages/zz-site.pth
    fi
}
udev=$(option udev)
if [ "$(option talk)" = keep ]; then
    # The host saves this machine here, and others go on from it: see kept.py.
    modprobe -a loop fuse dm_mod
    share_modules
    /checkout/tests/vm/salvage --version >/dev/null
    umount /checkout /site || exit
    stty -F /dev/ttyS1 raw -echo
    exec 3<>/dev/ttyS1
    while echo kept >&3; do sleep 0.1; done &
    read -r now udev <&3
    kill $!
    date --set "@$now" >/dev/null
fi
share_modules
share scratch /scratch none
share commands /run/commands none
modules=$(option modules)
if [ "$modules" ]; then
    mkdir -p "/usr/lib/modules/$(uname -r)"
    mount -t hostfs -o "$modules" modules "/usr/lib/modules/$(uname -r)"
fi

for disk in /sys/block/vd*; do
    [ -e "$disk/serial" ] || continue
    read -r serial <"$disk/serial"
    ln -s "/dev/${disk##*/}" "/disks/$serial"
done
letter=b
for name in $(option disks | tr , ' '); do
    ln -s "/dev/ubd$letter" "/disks/$name"
    letter=$(echo "$letter" | tr a-y b-z)
done
# Disk images in a memory file system would know no direct I/O and fill the memory.
mount -t ext4 /disks/vm-temporary /tmp && chmod 1777 /tmp
modprobe -a loop fuse dm_mod
# Where the host has the same Python, what is compiled there serves here. Else what another machine compiled
# does: Python tells by time and size whether it still fits.
for compiled in /usr/lib/python3.*/__pycache__/os.cpython-*[0-9].pyc; do tag=${compiled##*/os.}; done
if ! cmp --silent --bytes=4 "$compiled" "/checkout/core/__pycache__/__init__.$tag"; then
    export PYTHONPYCACHEPREFIX=/tmp/pycache
    mkdir /tmp/pycache
    [ ! -e /run/commands/pycache.tar ] || tar -C /tmp -xf /run/commands/pycache.tar
fi
touch /run/booted

if [ "$udev" = yes ]; then
    /lib/systemd/systemd-udevd --daemon
    udevadm trigger --action=add --subsystem-match=block --subsystem-match=misc
    udevadm settle
fi

cd /checkout
if [ "$(option talk)" = shell ]; then
    stty -F /dev/ttyS0 rows "$(option rows)" columns "$(option columns)" sane
    export TERM="$(option term)"
    setsid --ctty --wait bash -l </dev/ttyS0 >/dev/ttyS0 2>&1
else
    stty -F /dev/ttyS1 raw -echo
    exec 3<>/dev/ttyS1
    echo ready >&3
    while read -r number limit <&3 && [ "$number" != off ]; do
        # Debian's libdevmapper leaves the names in /dev/mapper to udev unless it is told that there is none.
        if [ -e /run/udev/control ]; then unset DM_DISABLE_UDEV; else export DM_DISABLE_UDEV=1; fi
        timeout --kill-after=5 "$limit" bash "/run/commands/$number" \
            >"/run/commands/$number.out" 2>&1 </dev/null 3>&-
        echo "$number $?" >&3
    done
    if [ -d /tmp/pycache ] && find /tmp/pycache -newer /run/booted -name '*.pyc' | grep -q .; then
        tar -C /tmp -cf /run/commands/pycache.part pycache
        mv /run/commands/pycache.part /run/commands/pycache.new
    fi
fi
sync
echo o >/proc/sysrq-trigger
sleep 30
