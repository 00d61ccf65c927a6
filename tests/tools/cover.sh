#!/bin/sh
# cover.sh BUILD: which share of each file's lines the tests reached, by gcov; the house's total
# for core and api last. The lines themselves, ##### before those that were not reached:
#   gcov -t -o build/cover/api build/cover/api/npy.gcda
set -eu
root=$PWD
cd "$1"
find core api server -name '*.gcda' | while read -r data; do
    gcov -r -s "$root" -o "$(dirname "$data")" "$data" 2>/dev/null
done | awk -v root="$root/" '
    /^File /  { file = $2; gsub(/\x27/, "", file); sub(root, "", file); sub(/^\.\//, "", file) }
    /^Lines executed:/ && file ~ /^(core|api|server)\// && !(file in seen) {
        seen[file] = 1
        split($2, part, /[:%]/)
        lines = $NF; reached = lines * part[2] / 100
        printf "%6.1f %% of %4d  %s\n", part[2], lines, file
        folder = file; sub(/\/.*/, "", folder)
        total[folder] += lines; hit[folder] += reached
        file = ""
    }
    END { for (folder in total)
              printf "%6.1f %% of %4d  all of %s\n", 100 * hit[folder] / total[folder], total[folder], folder }' |
    sort -k5 -k4
