#!/bin/bash
# fuzz.sh corpus TARGET: says which folders hold the target's inputs.
# fuzz.sh BUILD MINUTES TARGET...: libFuzzer with ASan and UBSan on each target for so long, one
# after the other, on every core. Starts from the corpus that is committed; what it learns stays in
# BUILD/TARGET, what it finds is printed and left in BUILD/found. A finding is mended and its file
# goes into tests/fuzz/corpus/TARGET, where `make test` replays it.
set -u
corpus() {
    echo "tests/fuzz/corpus/$1" $([ "$1" != image ] || echo tests/cases/pictures tests/cases/hostile)
}
[ "$1" != corpus ] || { corpus "$2"; exit; }
build=$1 minutes=$2
shift 2
mkdir -p "$build/found"
bad=0

for target in "$@"; do
    mkdir -p "$build/$target"
    log=$build/$target.log dict=tests/fuzz/$target.dict
    "$build/fuzz_$target" "$build/$target" $(corpus "$target") \
        -fork="$(nproc)" -max_total_time=$((minutes * 60)) -timeout=1 -rss_limit_mb=512 \
        -max_len=65536 -artifact_prefix="$build/found/$target-" \
        $([ -f "$dict" ] && echo "-dict=$dict") >"$log" 2>&1
    code=$?
    echo "$target: $minutes min, exit code $code, $(grep -aE '^#[0-9]' "$log" | tail -n 1)"
    [ $code = 0 ] || { bad=1; grep -aE 'ERROR|SUMMARY|runtime error' "$log" | sort | uniq -c; }
done
exit $bad
