#!/bin/sh
# Serves in this terminal and says what to type in another: run.sh PROGRAM PORT
set -eu
cat <<LINES
Try, in another terminal:

  curl localhost:$2
  curl -s localhost:$2/convolve -d '{"image":{"sample":"cat"},"weights":"sobel_x"}' \\
       -H 'Accept: image/png' -o edges.png
  curl -s localhost:$2/convolve -d '{"image":{"sample":"cat","size":227},"weights":"learned96",
       "stride":4}' -H 'Accept: image/png' -o maps.png
  curl -s 'localhost:$2/plan?input=3x227x227&K=96&F=11&S=4'

and in a browser: http://localhost:$2/     Ctrl-C stops it.

LINES
exec "$1" --listen "127.0.0.1:$2"
