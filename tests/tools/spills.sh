#!/bin/sh
# The micro-kernels' sums live in registers: a kernel that moves vectors to or from the stack is
# slow, and this says which. spills.sh BUILD. The edge kernels of 14 rows, which use 31 of 32
# registers, may spill one or two; a transposition (16 of 16 and a mask) is not an inner loop.
set -u
command -v objdump >/dev/null || { echo "spills: objdump is not installed" >&2; exit 0; }
failed=0
for object in "$1/core/kernels/avx512.o" "$1/core/kernels/avx2.o"; do
    [ -e "$object" ] || continue
    found=$(objdump -d --no-show-raw-insn "$object" | awk '
        /^[0-9a-f]+ <.*>:$/ { name = substr($2, 2, length($2) - 3); kernels += name ~ /^(implicit|swapped|direct)_/ }
        /(mov[au]p|vfmadd).*[xyz]mm/ && /\(%r[sb]p\)/ { moves[name]++ }
        END {
            if (kernels < 20) print "there are only " kernels + 0 " kernels to look at"
            for (name in moves) {
                most = name ~ /^swapped_(LEFT|RIGHT|BOTH)/ ? 4 : name ~ /^direct_/ ? 6 : 0
                if (name ~ /^(implicit|swapped|direct)_/ && moves[name] > most)
                    print name " moves vectors to or from the stack " moves[name] " times"
            }
        }')
    [ -z "$found" ] || { echo "$object: $found"; failed=1; }
done
exit $failed
