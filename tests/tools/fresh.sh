#!/bin/bash
# Proves "one command on a bare Debian 12": makes one by debootstrap, clones what is committed into
# it, and runs make test, make demo and make run there, as a newcomer would. Needs root, debootstrap
# and the network; leaves nothing behind. `fresh.sh FOLDER` keeps the system there for another time.
set -eu
here=$(git rev-parse --show-toplevel)
commit=$(git -C "$here" rev-parse HEAD)
kept=${1:-}
system=${kept:-$(mktemp -d)}
[ -n "$kept" ] || trap 'rm -rf --one-file-system "$system"' EXIT

[ -e "$system/bin/sh" ] || debootstrap --variant=minbase --include=make,git,ca-certificates \
    bookworm "$system" >/dev/null
cp /etc/resolv.conf "$system/etc/"
rm -rf "$system/root/origin.git"
git clone -q --bare "$here" "$system/root/origin.git"

# The mounts are seen by this one process and end with it.
unshare --mount --propagation private bash -eu -c '
    system=$1 commit=$2
    mount -t proc proc "$system/proc"
    mount --bind /dev "$system/dev"
    exec chroot "$system" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin bash -eu -c "
        rm -rf /root/convolved
        git clone -q /root/origin.git /root/convolved
        cd /root/convolved
        git -c advice.detachedHead=false checkout -q $commit
        ! command -v cc
        make test
        make demo
        make run PORT=18080 >/tmp/run.log 2>&1 &
        until curl -sf localhost:18080/readyz >/dev/null; do sleep 0.2; done
        cat /tmp/run.log
        curl -s \"localhost:18080/plan?input=3x227x227&K=96&F=11&S=4\"
        kill %1
        wait %1 || echo \"make run ended with \$?\"
    "' - "$system" "$commit"
