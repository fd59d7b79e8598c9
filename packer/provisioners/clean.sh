#!/usr/bin/env bash
# Removes what this one instance left on the disk and no instance of the AMI may inherit; validate.sh proves it gone.
set -euo pipefail

DISK=${DISK:-} # a folder in place of /

# cloud-init writes its state until it is done. The next instance then has a first boot of its own, with its own user data.
if command -v cloud-init >/dev/null; then
  timeout 300 cloud-init status --wait >/dev/null || true
fi
rm -rf "$DISK"/var/lib/cloud/instance "$DISK"/var/lib/cloud/instances/* "$DISK"/var/lib/cloud/data/*

# The key of this bake; cloud-init writes the key of the next instance.
rm -f "$DISK"/root/.ssh/authorized_keys "$DISK"/home/*/.ssh/authorized_keys
rm -f "$DISK"/root/.*_history "$DISK"/home/*/.*_history

# The identity of this host: who has the AMI could pass for any instance of it. The system makes another at boot; an empty machine-id,
# unlike a missing one, does not make systemd enable every service anew. The connection of this bake outlives its keys.
rm -f "$DISK"/etc/ssh/ssh_host_*
if [ -e "$DISK/etc/machine-id" ]; then : >"$DISK/etc/machine-id"; fi

# An ECS agent that finds the state of another instance registers under that instance's name.
if [ -z "$DISK" ] && command -v systemctl >/dev/null && systemctl is-active --quiet ecs; then
  systemctl stop ecs
fi
rm -rf "$DISK"/var/lib/ecs/data/*

rm -rf "$DISK"/var/cache/dnf/* "$DISK"/var/cache/yum/* "$DISK"/var/cache/apt/archives/*.deb "$DISK"/var/tmp/*
