#!/bin/sh
# Process 1 of a machine: mounts the root filesystem in the machine's own namespaces, then becomes sshd.
# $1 machine directory (upper, work, root, run files), $2 lower layers for overlay, $3 host name, $4 capabilities
set -eu
machine=$1 lower=$2 name=$3 rights=$4

# Renames and metadata must reach the upper layer whole, because the layer alone is what an AMI keeps.
mount -t overlay overlay \
  -o "lowerdir=$lower,upperdir=$machine/upper,workdir=$machine/work,redirect_dir=off,metacopy=off" "$machine/root"
cd "$machine/root"
mount -t proc proc proc
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
for node in null zero full random urandom tty; do
  touch "dev/$node"
  mount --bind "/dev/$node" "dev/$node"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd

mkdir run/sshd
install -m 600 "$machine/host_key" run/sshd/host_key
install -m 644 "$machine/authorized_keys" run/sshd/authorized_keys
install -m 600 "$machine/sshd_config" run/sshd/config
# A bind mount, so that the name of this one machine stays out of the layer.
echo "127.0.0.1 localhost $name" > run/hosts
mount --bind run/hosts etc/hosts
hostname "$name"

mkdir run/former
pivot_root . run/former
umount -l /run/former
rmdir /run/former

exec setpriv --bounding-set="$rights" \
  /usr/sbin/sshd -D -e -f /run/sshd/config
