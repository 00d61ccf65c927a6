#!/bin/bash
# Runs what README.md tells people to type: tests/readme.sh PROGRAM. The convention:
#  - every block fenced as ```sh is run, in the README's order, as one script by `bash -e` in one
#    scratch folder that holds the pictures of tests/cases/pictures and cat.png, with localhost:8080
#    replaced by a daemon that keeps layers and was started for it, and $CONVOLVED naming the program;
#  - a line "# → text" (or "# -> text") behind a command, on its own line or at the command's end,
#    is what the command prints; "..." in it stands for anything;
#  - a block fenced as ```sh notest is not run here (make, docker: other tests run those).
set -u
program=$(realpath "$1")
root=$PWD
. tests/tools/daemon.sh
scratch=$(mktemp -d)
mkdir "$scratch/.layers"
start "$program" --layers "$scratch/.layers"
trap 'stop; rm -rf "$scratch"' EXIT
cp -r tests/cases/pictures/. "$scratch"
cp tests/cases/pictures/cat-451x300.png "$scratch/cat.png"
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

# Do the lines of $1 hold those of $2, whole and in their order? "..." stands for anything.
matches() {
    local line pattern
    while IFS= read -r pattern; do
        pattern=$(printf '%s' "$pattern" | sed 's/[][\\*?]/\\&/g; s/\.\.\./*/g')
        while :; do
            IFS= read -r line <&3 || { echo "missing: $pattern"; return 1; }
            # shellcheck disable=SC2053
            [[ $line != $pattern ]] || break
        done
    done 3< <(printf '%s\n' "$1") < <(printf '%s\n' "$2")
}

cd "$scratch"
for block in .block-*; do
    [ -e "$block" ] || { echo "README.md has no sh block"; failed=1; break; }
    sed -i "s|localhost:8080|${url#http://}|g; s|127\.0\.0\.1:8080|${url#http://}|g" "$block"
    good=1
    output=$(CONVOLVED=$program timeout 120 bash -eu -o pipefail "$block" 2>&1) || good=0
    wanted=$(expected "$block")
    [ -z "$wanted" ] || matches "$output" "$wanted" || good=0
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
# curl -s is content with a problem document; the daemon's log is not.
if grep -E 'status=[45]' "$daemon_log"; then
    failed=$((failed + 1))
fi
stop || { echo "the daemon ended with $?"; failed=$((failed + 1)); }
rm -rf "$scratch"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
