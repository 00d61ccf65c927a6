#!/bin/sh
# The page's tests in Debian's Chromium, or with the argument screenshots its pictures for the
# README. Installs what is missing; where that cannot be done says so and ends with 77. Whatever
# hangs, the tests end after MOST seconds with a line that says so.
set -u
MOST=270
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
    timeout 90 npm ci --prefix "$pages" --ignore-scripts --no-audit --no-fund >/dev/null ||
    say_not "npm cannot install playwright-core and axe-core"

case ${1:-} in
    screenshots) exec timeout "$MOST" node "$pages/screenshots.js" ;;
esac
log=$(mktemp)
trap 'rm -f "$log"' EXIT
timeout -k 10 "$MOST" node --test --test-reporter=spec "$pages/lib.test.js" "$pages/page.test.js" 2>&1 |
    tee "$log"
count() {
    sed -n "s/^ℹ $1 //p" "$log"
}
passed=$(count pass)
[ -n "$passed" ] || {
    echo "the page's tests did not end in $MOST s"
    echo "$(grep -c '^✔' "$log") passed, 1 failed"
    exit 1
}
failed=$(($(count fail) + $(count cancelled)))
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
