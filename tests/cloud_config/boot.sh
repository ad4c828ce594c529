#!/bin/sh
# Makes a host of a root file system: its files are below /mnt/root, and this
# process holds its network and its name. It starts in namespaces of its own,
# in which process 1 is the API's side.
set -eu
PATH=/usr/sbin:/usr/bin:/sbin:/bin
root=/mnt/root
host() { chroot $root "$@"; }
api() { nsenter --net=/proc/1/ns/net chroot $root "$@"; }

# The image stays as it is, with a layer in memory on top.
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/sys $root
mount -t overlay -o "lowerdir=$1,upperdir=/mnt/upper,workdir=/mnt/work" \
  overlay $root
mount -t proc -o ro proc $root/proc
# No block devices: cloud-init would resize them.
mount -t tmpfs -o mode=755 tmpfs $root/dev
for name in null zero full random urandom tty; do
  touch $root/dev/$name
  mount --bind /dev/$name $root/dev/$name
done

# The kernel's view of the devices, with the firmware's tables (SMBIOS 3.0):
# an entry point, and a system with the UUID of host.ts.
mount -t sysfs -o ro sysfs /mnt/sys
mount -t tmpfs -o mode=755 tmpfs $root/sys
for name in block bus class dev devices kernel; do
  mkdir $root/sys/$name
  mount --bind /mnt/sys/$name $root/sys/$name
done
mkdir -p $root/sys/firmware/dmi/tables
cd $root/sys/firmware/dmi/tables
printf '_SM3_\60\30\3\0\0\1\0\43\0\0\0\0\0\0\0\0\0\0\0' > smbios_entry_point
printf '\1\33\0\1\0\0\0\0DELL1\0\0200\200T\267\300OJ2X\6\0\0\0\0' > DMI
printf '\177\4\0\2\0\0' >> DMI

# Addresses of documentation, on a link that exists in the namespaces only.
host ip link add eth0 type veth peer name decapod netns /proc/1/ns/net
for command in "host eth0 2" "api decapod 1"; do
  set -- $command
  $1 ip link set lo up
  $1 ip address add "192.0.2.$3/30" dev "$2"
  $1 ip address add "2001:db8::$3/64" dev "$2" nodad
  $1 ip link set "$2" up
done
host ip route add unreachable 198.51.100.1
echo ready
exec sleep infinity
