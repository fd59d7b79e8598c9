#!/bin/sh
# Runs the script on stdin in a machine, with the capabilities $1, as its process 1 has them, and a `shutdown`, which a container's
# root filesystem lacks: it ends process 1, and with it the machine.
set -eu
mkdir -p /run/user-data
cat > /run/user-data/script
cat > /run/user-data/shutdown <<'END'
#!/bin/sh
while kill -TERM 1; do sleep 0.1; done
END
chmod 755 /run/user-data/script /run/user-data/shutdown
PATH=/run/user-data:$PATH
export PATH
exec setpriv --bounding-set="$1" /run/user-data/script
