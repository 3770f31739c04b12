#!/bin/sh
# Run as the first process of new namespaces: lay out a machine's file systems in FOLDER, step into it, become systemd.
#   inside.sh FOLDER      with FOLDER/{image,disk,work,root,log,slurm,console}, see machine.py
set -eu
folder=$1
root=$folder/root

mount -t overlay machine -o "lowerdir=$folder/image,upperdir=$folder/disk,workdir=$folder/work" "$root"
mount -t proc proc "$root/proc"
# What belongs to the kernel belongs to the host: to be read, not to be set.
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=0755,nosuid,nodev run "$root/run"
mount -t tmpfs -o mode=1777,nosuid,nodev tmp "$root/tmp"

mount -t tmpfs -o mode=0755,nosuid dev "$root/dev"
for device in full null random tty urandom zero; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777,nosuid,nodev shm "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
: >"$root/dev/console"
mount --bind "$folder/console" "$root/dev/console"

# The disk of the events, and the simulated Slurm, are there for the tests to reach from outside.
mkdir -p "$root/var/log/slurmwatchd" "$root/var/lib/slurmwatchd/slurm"
mount --bind "$folder/log" "$root/var/log/slurmwatchd"
mount --bind "$folder/slurm" "$root/var/lib/slurmwatchd/slurm"

cd "$root"
mkdir -p .host
pivot_root . .host
exec >/dev/console 2>&1 </dev/null
umount -l /.host
exec env -i container=test LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    setpriv --bounding-set=-sys_time,-sys_module,-syslog,-audit_control,-audit_read /usr/lib/systemd/systemd --system
