#!/bin/sh
# The page's tests in Debian's Chromium, or with the argument screenshots its pictures for the
# README. Installs what is missing; where that cannot be done says so and ends with 77.
set -u
tools=$(dirname "$0") pages=$(dirname "$0")/../web
say_not() {
    echo "THE PAGE IS NOT TESTED HERE: $1" >&2
    exit 77
}
missing=
for program in chromium node npm python3; do
    package=$program
    [ "$program" != node ] || package=nodejs
    command -v "$program" >/dev/null || missing="$missing $package"
done
[ -z "$missing" ] || "$tools/install.sh" $missing || say_not "apt has no$missing"
# What is there already is used without asking a registry.
[ -d "$pages/node_modules/playwright-core" ] && [ -d "$pages/node_modules/axe-core" ] ||
    timeout 180 npm ci --prefix "$pages" --ignore-scripts --no-audit --no-fund >/dev/null ||
    say_not "npm cannot install playwright-core and axe-core"

case ${1:-} in
    screenshots) exec node "$pages/screenshots.js" ;;
esac
log=$(mktemp)
trap 'rm -f "$log"' EXIT
node --test --test-reporter=spec --test-timeout=900000 "$pages/lib.test.js" "$pages/page.test.js" >"$log" 2>&1
cat "$log"
passed=$(sed -n 's/^ℹ pass //p' "$log") failed=$(sed -n 's/^ℹ \(fail\|cancelled\) //p' "$log" | paste -sd+ | sed 's/$/ /')
[ -n "$passed" ] || { echo "0 passed, 1 failed"; exit 1; }
failed=$((failed))
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
