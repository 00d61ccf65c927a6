#!/bin/sh
# Installs Debian packages, as root or by sudo; the lists are fetched when they are not there or
# too old to be of use. --no-remove: never at the price of something that the user has.
set -eu

if ! command -v apt-get >/dev/null; then
    echo "There is no apt-get here. What Debian calls $* must be installed by other means." >&2
    exit 0
fi
as_root=
if [ "$(id -u)" != 0 ]; then
    as_root=sudo
    command -v sudo >/dev/null || { echo "As root, please: apt-get install $*" >&2; exit 1; }
fi
echo "Installing $*" >&2
install() {
    $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends --no-remove -qq -o Dpkg::Use-Pty=0 "$@"
}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install "$@" >"$log" 2>&1 || { $as_root apt-get update -qq && install "$@"; } >"$log" 2>&1 ||
    { cat "$log" >&2; exit 1; }
