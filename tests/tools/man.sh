#!/bin/sh
# The page $2 on stdout, its options written anew from $1 --help: a letter for a letter.
set -eu
"$1" --help | sed -n 's/^  \(--[a-z-]*\) *\(.*\)/\1 \2/p' | awk -v page="$2" '
    function escape(text) { gsub(/-/, "\\-", text); return text }
    { flag = $1; sub(/^[^ ]* /, ""); options = options ".TP\n.B " escape(flag) "\n" escape($0) "\n" }
    END {
        while ((getline line <page) > 0) {
            if (line == ".\\\" options: end") skip = 0
            if (!skip) print line
            if (line == ".\\\" options: begin") { printf "%s", options; skip = 1 }
        }
    }'
