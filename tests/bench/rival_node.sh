#!/bin/sh
# Installs onnxruntime-node and sharp under build/rival (npm, once) and says the command that serves the
# textbook layer with it, as most people would write it.
set -e
mkdir -p build/rival
[ -d build/rival/node_modules/onnxruntime-node ] && [ -d build/rival/node_modules/sharp ] ||
    timeout 180 npm install --silent --ignore-scripts --prefix build/rival onnxruntime-node@1.30.0 \
        sharp@0.34.5 >&2
cp tests/bench/rival_node.mjs build/rival/
echo "exec node build/rival/rival_node.mjs"
