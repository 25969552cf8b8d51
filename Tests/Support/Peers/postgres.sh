#!/bin/sh
# postgres.sh DIRECTORY [SETTING=VALUE…]: a PostgreSQL cluster of a test's own in DIRECTORY, reached by the socket there as
# user berth. Up until the standard input ends; then it is gone, and the directory with it. Lines of the input: kill (the
# server and its children, at once), freeze, thaw, start. Each is answered by a line when it is done.
set -eu
directory=$1
shift
bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
settings="-c listen_addresses= -c shared_buffers=32MB -c max_connections=300 -c autovacuum=off -c jit=off"
for setting in "$@"; do settings="$settings -c $setting"; done

# PostgreSQL does not run as root.
as_user=
[ "$(id -u)" -ne 0 ] || as_user='setpriv --reuid postgres --regid postgres --clear-groups'

launch() {
    $as_user "$bin/postgres" -D "$directory/data" -k "$directory" $settings </dev/null 2>>"$directory/log" >&2 &
    server=$!
}

start() {
    launch
    tries=0
    # A child that is just ending may still hold the shared memory: then the server gives up, and is started again.
    until "$bin/pg_isready" -q -h "$directory" -U berth -d postgres; do
        tries=$((tries + 1))
        if [ $tries -gt 500 ]; then
            cat "$directory/log" >&2
            exit 1
        fi
        case "$(ps -o stat= -p "$server")" in '' | Z*) launch ;; esac
        sleep 0.03
    done
}

# The server's children do not always notice that it died. A stopped server makes no more of them.
everybody() {
    kill -STOP "$server" 2>/dev/null || true
    echo "$server" $(cat "/proc/$server/task/$server/children" 2>/dev/null)
}

end() {
    kill -QUIT "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    rm -rf "$directory"
}
trap 'trap - EXIT; end' EXIT
trap exit TERM INT HUP
# Who listened may be gone already: then writing fails, and the end follows.
trap '' PIPE

[ -z "$as_user" ] || chown postgres "$directory"
$as_user "$bin/initdb" -D "$directory/data" -U berth -A trust --no-sync -E UTF8 --locale=C >/dev/null
start
echo up
while read -r command; do
    case $command in
    kill) kill -KILL $(everybody) 2>/dev/null || true; wait "$server" 2>/dev/null || true ;;
    # A child on the list may end before its signal comes.
    freeze) for process in $(everybody); do kill -STOP "$process" 2>/dev/null || true; done ;;
    thaw) for process in $(everybody); do kill -CONT "$process" 2>/dev/null || true; done ;;
    start) start ;;
    esac
    echo "did $command"
done
