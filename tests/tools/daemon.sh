# For scripts, to be sourced: start PROGRAM [OPTION...] runs it on a free port and sets $url and
# $daemon; it is stopped when the script ends. stop stops it now and gives its exit status.
start() {
    daemon_log=$(mktemp)
    program=$1
    shift
    "$program" --listen 127.0.0.1:0 "$@" >"$daemon_log" 2>&1 &
    daemon=$!
    trap 'stop || :' EXIT
    trap 'exit 130' INT TERM
    url=
    while [ -z "$url" ] && kill -0 "$daemon" 2>/dev/null; do
        sleep 0.05
        url=$(sed -n 's|.*\(http://127\.0\.0\.1:[0-9]*\).*|\1|p' "$daemon_log" | head -n 1)
    done
    [ -n "$url" ] || { echo "$program did not start:"; cat "$daemon_log"; exit 1; } >&2
}
stop() {
    trap - EXIT
    kill "$daemon" 2>/dev/null || :
    status=0
    wait "$daemon" || status=$?
    rm -f "$daemon_log"
    return $status
}
