#!/bin/sh
# msan.sh BUILD TARGET...: replays of the fuzzers' inputs, built with MemorySanitizer, and pictures
# through the identity kernel into each kind of reply; each whole, cut and changed at HARM places.
set -eu
build=$1
shift
mkdir -p "$build/pictures"
for file in tests/cases/pictures/cat*.* tests/cases/hostile/*; do
    for query in 'format=raw' 'format=json' 'format=json&data=base64' 'format=png&range=clip'; do
        { echo "  kernel=identity&$query"; cat "$file"; } >"$build/pictures/${file##*/}.$query"
    done
done
passed=0 failed=0
replay() {
    log=$build/log_$1 name=$1
    shift
    if "$build/replay_$name" "$@" >"$log" 2>&1; then
        passed=$((passed + 1))
        echo "$name: $(grep -c / "$log") inputs, each harmed at $HARM places"
    else
        failed=$((failed + 1))
        tail -n 40 "$log"
    fi
}
for target in "$@"; do
    replay "$target" $(tests/tools/fuzz.sh corpus "$target")
done
replay request "$build/pictures"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
