#!/bin/bash
# Runs what README.md tells people to type: tests/readme.sh PROGRAM. The convention:
#  - every block fenced as ```sh is run, in the README's order, as one script by `bash -e` in one
#    scratch folder that holds the pictures of tests/cases/pictures (cat.png, cat.jpg, ...), with
#    localhost:8080 replaced by a daemon that was started for it;
#  - a line "# → text" (or "# -> text") behind a command, on its own line or at the command's end,
#    is what the command prints; "..." in it stands for anything;
#  - a block fenced as ```sh notest is not run here (make, docker: other tests run those).
set -u
program=$(realpath "$1")
root=$PWD
. tests/tools/daemon.sh
scratch=$(mktemp -d)
start "$program"
trap 'stop; rm -rf "$scratch"' EXIT
cp -r tests/cases/pictures/. "$scratch"
passed=0 failed=0

# Writes each block to $scratch/.block-NN, with the line it starts on as its first line.
awk -v out="$scratch/.block-" '
    /^```sh[ \t]*$/ { inside = 1; file = sprintf("%s%03d", out, ++n); print "# README.md:" NR > file; next }
    /^```/          { if (inside) close(file); inside = 0 }
    inside          { print >> file }' README.md

# The texts of a block's "# →" comments, one a line.
expected() {
    sed -nE 's/^(.*[ \t])?#[ \t]*(→|->)[ \t]*(.*)$/\3/p' "$1"
}

# Does the output hold these lines, in this order? "..." matches anything.
matches() {
    pattern=$(printf '%s\n' "$2" | sed -e 's/[][\.*^$]/\\&/g' -e 's/\\\.\\\.\\\./.*/g')
    printf '%s\n' "$1" | grep -q -- "$pattern"
}

cd "$scratch"
for block in .block-*; do
    [ -e "$block" ] || { echo "README.md has no sh block"; failed=1; break; }
    sed -i "s|localhost:8080|${url#http://}|g; s|127\.0\.0\.1:8080|${url#http://}|g" "$block"
    good=1
    output=$(CONVOLVED=$program timeout 120 bash -eu -o pipefail "$block" 2>&1) || good=0
    while IFS= read -r line; do
        [ -z "$line" ] || matches "$output" "$line" || { good=0; echo "missing: $line"; }
    done < <(expected "$block")
    if [ $good = 1 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        cat "$block"
        echo "--- it printed:"
        printf '%s\n' "$output" | head -c 2000
    fi
done
cd "$root"
stop || { echo "the daemon ended with $?"; failed=$((failed + 1)); }
rm -rf "$scratch"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
