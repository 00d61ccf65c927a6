#!/bin/bash
# The house's rules over the files given; silent when they are kept. Tools that are not installed
# are named once and skipped, the rules that grep can tell are always held.
set -u
failed=0
files=("$@")

complain() {
    echo "$1"
    failed=1
}
# in FOLDER...: those of the files that lie there
in_folders() {
    printf '%s\n' "${files[@]}" | grep -E "^($1)" || :
}
# no PATTERN RULE FILE...: no line of these files may match
no() {
    local pattern=$1 rule=$2 found
    shift 2
    [ $# = 0 ] || ! found=$(grep -nPe "$pattern" "$@" /dev/null) || complain "$rule:
$found"
}
# only FILE HEADER: nobody else includes it
only() {
    local others
    mapfile -t others < <(printf '%s\n' "${files[@]}" | grep -vE "^($1)$" | grep -v '^tests/')
    no "#include <$2>" "$2 belongs to $1 alone" "${others[@]}"
}
mapfile -t core < <(in_folders core/)
mapfile -t api < <(in_folders api/)
mapfile -t server < <(in_folders server/)

# server -> api -> core, by their doors.
no '#include "(api|server|tests)/' 'core knows nothing of the other folders' "${core[@]}"
no '#include "(server|tests)/' 'api knows nothing of server' "${api[@]}"
no '#include "tests/' 'server knows nothing of the tests' "${server[@]}"
no '#include "core/(?!core\.h|\w+\.def)' 'others see core by core/core.h' "${api[@]}" "${server[@]}"
no '#include "api/(?!api\.h|\w+\.def)' 'server sees api by api/api.h' "${server[@]}"

# Each library has its files.
only 'core/engines/im2col\.c|core/kernels\.c' 'cblas\.h'
only 'api/stb\.c' 'stb/.*'
only 'api/\w+\.[ch]' '(cjson/cJSON|libdeflate)\.h'
only 'server/http\.[ch]|server/gate\.[ch]' 'microhttpd\.h'
no '\b(malloc|calloc|realloc|free|alloca|strdup|asprintf)\(' 'the arena is the only memory here' \
    $(in_folders 'api/|core/engines/|core/kernels/')
no '\bsetlocale\([^)]' 'numbers are read in the C locale' "${core[@]}" "${api[@]}" "${server[@]}"
no '^#if 0|FIXME|\bXXX\b' 'finish it or take it out' "${files[@]}"
no '-march=native' 'one binary runs anywhere' Makefile docker/Dockerfile
stray=$(git ls-files 2>/dev/null |
    grep -vE '^(server|core|api|tests|docker|\.[a-z]+)/|^(Makefile|README\.md|LICENSE|\.[a-z-]+)$')
[ -z "$stray" ] || complain "not in the tree of the house: $stray"

# Sizes, as far as grep can tell; clang-tidy looks at the functions.
for file in "${files[@]}"; do
    case $file in
        tests/*) most=600 ;;
        *.h) most=300 ;;
        *) most=500 ;;
    esac
    lines=$(wc -l <"$file")
    [ "$lines" -le "$most" ] || complain "$file has $lines lines; $most are the most"
done

mapfile -t sources < <(printf '%s\n' "${files[@]}" | grep -E '\.[ch]$')
mapfile -t units < <(printf '%s\n' "${files[@]}" | grep -E '^(core|api|server)/.*\.c$' |
    grep -vE '^(api/stb\.c|api/.*_avx512\.c|core/kernels/)')
have() {
    command -v "$1" >/dev/null || { echo "lint: $1 is not installed (make installed-lint)" >&2; return 1; }
}
have clang-format && { clang-format --dry-run -Werror "${sources[@]}" || failed=1; }
have cppcheck && {
    cppcheck --quiet --error-exitcode=1 --std=c11 --inline-suppr -j2 -I. -D_GNU_SOURCE -DWEB=\"build\" \
        --enable=warning,performance,portability --suppress=missingIncludeSystem --suppress=uninitvar \
        "${units[@]}" || failed=1
}
have clang-tidy && {
    printf '%s\n' "${units[@]}" | xargs -P2 -n4 sh -c \
        'clang-tidy --quiet "$@" -- -std=gnu17 -I. -D_GNU_SOURCE -DWEB=\"build\" 2>/dev/null' - || failed=1
}
exit $failed
