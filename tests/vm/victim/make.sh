# Runs in the test machine: makes the victim's disk at /disks/victim and its first file system in /scratch.
set -eu
cd /tmp
disk=$(readlink -f /disks/victim)
sfdisk --quiet "$disk" <<TABLE
label: gpt
size=400M, type=L
size=320M, type=L
size=256M, type=L
type=E6D6D379-F507-44C2-A23C-238F2A3DF928
TABLE
udevadm settle
mkfs.ext4 -q -L root "${disk}1"
mkfs.xfs -q -L srv "${disk}2"
mkfs.btrfs -q -L cold "${disk}3"
pvcreate -q "${disk}4"
vgcreate -q guest "${disk}4"
lvcreate -q -y -W n -L 200M -n data guest
lvcreate -q -y -W n -l 100%FREE -n db guest
udevadm settle
mkfs.ext4 -q /dev/guest/data
mkfs.xfs -q /dev/guest/db

mkdir root
mount "${disk}1" root
for folder in proc sys dev srv/xfs srv/btrfs srv/data srv/db run tmp etc usr/share usr/bin usr/sbin usr/lib usr/lib64; do
    mkdir -p "root/$folder"
done
for link in bin sbin lib lib64; do
    cp -a "/$link" root/
done
python=$(python3 -c 'import sys; print("/usr/lib/python%d.%d" % sys.version_info[:2])')
for program in python3 lvm busybox; do
    cp --parents -L "$(command -v $program)" root/
done
mkdir -p "root$python"
cp -a "$python/." "root$python"
rm -rf "root$python/test" "root$python/idlelib" "root$python/ensurepip" "root$python/distutils" "root$python/lib2to3"
cp -a /usr/lib/postgresql root/usr/lib/
cp -a /usr/share/postgresql root/usr/share/
grep -E '^(root|postgres):' /etc/passwd >root/etc/passwd
grep -E '^(root|postgres):' /etc/group >root/etc/group
ldd /usr/bin/python3 /usr/sbin/lvm /usr/lib/postgresql/15/bin/* "$python"/lib-dynload/*.so |
    grep -o '/[^ ]* (0x' | cut -d ' ' -f 1 | sort -u | while read -r library; do
    cp --parents -L "$library" root/
done
for name in sh mount stty sed sync; do
    [ -e "root/usr/bin/$name" ] || ln -s busybox "root/usr/bin/$name"
done
cp /checkout/tests/vm/victim/workload.py /checkout/tests/vm/victim/init.sh root/
echo victim >root/etc/hostname

# A cluster in each place, of which a life takes one. It commits as PostgreSQL does by itself; more
# checkpoints than it would make, so that it may die in the midst of one.
mkdir cluster
chown postgres:postgres cluster
setpriv --reuid=postgres --regid=postgres --clear-groups /usr/lib/postgresql/15/bin/initdb --pgdata=cluster \
    --encoding=UTF8 --locale=C --data-checksums --auth=trust --no-sync --wal-segsize=1 >/dev/null
cat >>cluster/postgresql.conf <<SETTINGS
listen_addresses = ''
unix_socket_directories = '/dev/shm'
shared_buffers = 16MB
min_wal_size = 4MB
max_wal_size = 4MB
checkpoint_timeout = 30s
SETTINGS
mkdir -p root/srv/root
cp -a cluster root/srv/root/
mkdir place
for device in "${disk}2" "${disk}3" /dev/guest/data /dev/guest/db; do
    mount "$device" place
    mkdir place/w
    cp -a cluster place/w/
    umount place
done
umount root
vgchange -q -an guest
python3 -m tests.vm.victim.first /scratch/initrd
sync
