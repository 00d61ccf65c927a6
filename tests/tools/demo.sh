#!/bin/sh
# One photograph from start to pictures of its feature maps: demo.sh PROGRAM FOLDER
set -eu
program=$1 out=$2
. tests/tools/daemon.sh

ask() {
    echo "  curl $url/convolve -d '$2' -H 'Accept: $3' -o $out/$1"
    curl -sS --fail-with-body "$url/convolve" -d "$2" -H "Accept: $3" -o "$out/$1" ||
        { cat "$out/$1"; exit 1; }
}

mkdir -p "$out"
start "$program"
echo "The daemon listens on $url. The cat, its edges, a learned layer's 96 maps, and the numbers:"
ask cat.png   '{"image":{"sample":"cat"},"weights":"identity"}' image/png
ask edges.png '{"image":{"sample":"cat"},"weights":"edges","combine":"magnitude"}' image/png
ask maps.png  '{"image":{"sample":"cat","size":227},"weights":"learned96","stride":4}' image/png
ask maps.json '{"image":{"sample":"cat","size":227},"weights":"learned96","stride":4}' application/json
echo
echo "Look at $out/cat.png, $out/edges.png and $out/maps.png. maps.json begins:"
head -c 300 "$out/maps.json"
echo " ..."
stop
echo "The daemon is stopped."
