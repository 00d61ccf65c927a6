#!/bin/bash
# image.sh build: makes the image `convolved`, by docker where an engine answers, else by buildah
# on a base that debootstrap makes (BASE=... names another).
# image.sh test: builds it, runs it as its own user on a root that nobody can write to, asks it
# for a convolution, a health check and an orderly end. Ends with "N passed, N failed"; exit code
# 77 and a loud line when this machine has no tool that could do it.
set -eu
image=convolved
passed=0 failed=0

unable() {
    echo "NOT TESTED: the container image. $*" >&2
    exit 77
}
check() {
    local what=$1
    shift
    if "$@" >"$scratch/check" 2>&1; then
        passed=$((passed + 1))
        echo "ok: $what"
    else
        failed=$((failed + 1))
        echo "FAILED: $what"
        cat "$scratch/check"
    fi
}

choose() {
    if command -v docker >/dev/null && timeout 20 docker info >/dev/null 2>&1; then
        tool=docker
    elif command -v buildah >/dev/null; then
        tool=buildah
        [ "$(id -u)" = 0 ] || unable "buildah's chroot isolation needs root here."
        buildah info >/dev/null 2>&1 || export STORAGE_DRIVER=vfs # no overlay in this kernel
    else
        unable "It takes docker with an engine, or buildah and debootstrap, and root."
    fi
}

# Debian's slim image is this and no more: the smallest system, without manuals and lists.
make_base() {
    buildah inspect --type image localhost/debian-slim >/dev/null 2>&1 && return
    command -v debootstrap >/dev/null || unable "buildah is here, but debootstrap is not."
    echo "Making a base by debootstrap"
    debootstrap --variant=minbase bookworm "$scratch/base" >"$scratch/log" ||
        { tail -n 20 "$scratch/log"; exit 1; }
    (cd "$scratch/base" && rm -rf var/cache/apt/* var/lib/apt/lists/* var/log/* \
        usr/share/{doc,man,info,locale}/*)
    # The suites and mirrors that this machine uses, security fixes among them.
    cp /etc/apt/sources.list.d/debian.sources "$scratch/base/etc/apt/sources.list.d/" 2>/dev/null &&
        : >"$scratch/base/etc/apt/sources.list"
    local container
    container=$(buildah from scratch)
    buildah add -q "$container" "$scratch/base" / >/dev/null
    buildah commit -q --rm "$container" localhost/debian-slim >/dev/null
    rm -rf "$scratch/base"
}

build() {
    if [ $tool = docker ]; then
        docker build -f docker/Dockerfile ${BASE:+--build-arg "BASE=$BASE"} -t $image .
        docker image inspect -f 'The image has {{.Size}} bytes.' $image
        return
    fi
    [ -n "${BASE:-}" ] || make_base
    buildah bud --isolation chroot --format docker --layers -f docker/Dockerfile \
        --build-arg "BASE=${BASE:-localhost/debian-slim}" -t $image .
    echo "The image has $(buildah images --format '{{.Size}}' $image)."
}

# buildah has no --read-only: its container's root is mounted once more, read-only, in a mount
# namespace of our own, and entered as the image's user without any capability.
inside() {
    ${become:-} unshare --mount --propagation private sh -eu -c '
        mount --rbind "$1" "$1" && mount -o remount,bind,ro "$1"
        mount -t proc proc "$1/proc"
        root=$1 user=$2
        shift 2
        exec chroot "$root" /usr/bin/env -i CONVOLVED_LISTEN="$LISTEN" /usr/bin/setpriv \
            --reuid "${user%:*}" --regid "${user#*:}" --clear-groups --no-new-privs \
            --bounding-set=-all --inh-caps=-all "$@"' - "$root" "$user" "$@"
}
begin() {
    if [ $tool = docker ]; then
        container=$(docker run -d --read-only --cap-drop ALL --security-opt no-new-privileges \
            -p 127.0.0.1:0:8080 $image)
        url=http://$(docker port "$container" 8080 | head -n 1)
        timeout 30 sh -c "until curl -sf $url/livez; do sleep 0.1; done" >/dev/null
        return
    fi
    container=$(buildah from $image)
    root=$(buildah mount "$container")
    user=$(buildah inspect --format '{{.OCIv1.Config.User}}' "$container")
    export LISTEN=127.0.0.1:0
    become=exec inside /usr/local/bin/convolved >"$scratch/log" 2>&1 & # its pid is the daemon's
    daemon=$!
    url=
    for _ in $(seq 200); do
        url=$(grep -om1 'http://127\.0\.0\.1:[0-9]*' "$scratch/log") && url=${url%%[[:space:]]*} && break
        sleep 0.1
    done
    [ -n "$url" ] || { echo "it did not start:"; cat "$scratch/log"; exit 1; }
    LISTEN=${url#http://}
}
healthcheck() {
    if [ $tool = docker ]; then
        docker exec "$container" /usr/local/bin/convolved healthcheck
    else
        inside /usr/local/bin/convolved healthcheck
    fi
}
runs_as_nobody() {
    if [ $tool = docker ]; then
        [ "$(docker exec "$container" id -u)" = 65532 ]
    else
        grep -E '^Uid:\s+65532\s+65532\s+65532\s+65532$' "/proc/$daemon/status" &&
            grep -E '^CapEff:\s+0+$' "/proc/$daemon/status"
    fi
}
cannot_write() {
    if [ $tool = docker ]; then
        ! docker exec -u 0 "$container" touch /usr/local/bin/x
    else
        user=0:0 inside /usr/bin/touch /usr/local/bin/x 2>&1 | grep 'Read-only file system'
    fi
}
convolves() {
    local body='{"image":{"sample":"cat","size":227},"weights":"learned96","stride":4}'
    [ "$(curl -sS "$url/convolve" -d "$body" -o "$scratch/reply" -D "$scratch/head" \
        -w '%{http_code}')" = 200 ] &&
        grep -i '^Convolved-Output-Shape: 1,96,55,55' "$scratch/head"
}
ends_with_0() {
    if [ $tool = docker ]; then
        docker stop "$container" >/dev/null
        [ "$(docker inspect -f '{{.State.ExitCode}}' "$container")" = 0 ]
    else
        kill "$daemon" && wait "$daemon"
    fi
}
clean_up() {
    if [ -n "${container:-}" ]; then
        [ $tool = docker ] && docker rm -f "$container" || {
            kill -9 "${daemon:-}"
            wait "${daemon:-}"
            buildah rm "$container"
        }
    fi >/dev/null 2>&1 || :
    rm -rf "$scratch"
}

choose
scratch=$(mktemp -d)
trap clean_up EXIT
build
[ "$1" = test ] || exit 0
begin
check "it runs as user 65532 and without capabilities" runs_as_nobody
check "its root cannot be written to, not even by root" cannot_write
check "it answers a convolution" convolves
check "it passes its own health check" healthcheck
check "SIGTERM ends it with 0" ends_with_0
check "and then its health check fails" eval '! healthcheck'
echo "$passed passed, $failed failed"
[ $failed = 0 ]
