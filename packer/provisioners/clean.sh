#!/usr/bin/env bash
# Removes what this one instance left on the disk and no instance of the AMI may inherit.
set -euo pipefail

# The key of this bake; cloud-init writes the key of the next instance.
rm -f /root/.ssh/authorized_keys /home/*/.ssh/authorized_keys
rm -f /root/.bash_history /home/*/.bash_history

# An ECS agent that finds the state of another instance registers under that instance's name.
if command -v systemctl >/dev/null && systemctl is-active --quiet ecs; then
  systemctl stop ecs
fi
rm -rf /var/lib/ecs/data/*

rm -rf /var/cache/dnf/* /var/cache/yum/* /var/cache/apt/archives/*.deb /var/tmp/*
