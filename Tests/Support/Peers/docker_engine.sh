#!/bin/sh
# docker_engine.sh DIRECTORY IMAGES [live]: a Docker Engine of a test's own, with everything it keeps in DIRECTORY and its
# socket at DIRECTORY/docker.sock, after IMAGES (a program that is given the socket) has brought its images in. It makes
# no bridge and no rule of the host's firewall: containers have loopback alone. With `live` its containers outlive it.
# Up until the standard input ends; then it is gone with its containers, its mounts and the directory. Lines of the input:
# kill (the Engine alone, at once), start, stop. Each is answered by a line when it is done.
set -eu
directory=$1
images=$2
live=
[ "${3:-}" != live ] || live=--live-restore
socket=$directory/docker.sock

start() {
    # Ids in the files of an Engine that was killed may be others' by now.
    rm -f "$directory/pid" "$directory/exec/containerd/containerd.pid"
    dockerd --data-root "$directory/data" --exec-root "$directory/exec" --pidfile "$directory/pid" \
        --host "unix://$socket" --bridge=none --iptables=false --ip6tables=false --ip-masq=false --ip-forward=false \
        --shutdown-timeout 2 $live </dev/null >>"$directory/log" 2>&1 &
    engine=$!
    tries=0
    until curl -s -f -o /dev/null --unix-socket "$socket" http://localhost/_ping; do
        tries=$((tries + 1))
        if [ $tries -gt 1000 ] || ! kill -0 "$engine" 2>/dev/null; then
            tail -n 40 "$directory/log" >&2
            return 1
        fi
        sleep 0.03
    done
}

# With the Engine its containerd goes, a moment later.
kill_engine() {
    containerd=$(cat "$directory/exec/containerd/containerd.pid" 2>/dev/null || true)
    kill -KILL "$engine"
    wait "$engine" 2>/dev/null || true
    while [ -n "$containerd" ] && grep -qs '^State:.[^Z]' "/proc/$containerd/status"; do sleep 0.01; done
}

containers() { curl -s --unix-socket "$socket" 'http://localhost/containers/json?all=1' | jq -r '.[].Id' 2>/dev/null; }

remove_containers() {
    for container in $(containers); do
        curl -s -o /dev/null --unix-socket "$socket" -X DELETE "http://localhost/containers/$container?force=1&v=1"
    done
}

# What an Engine that was killed leaves: its containerd, and the shims of containers that it knew no more.
end_leftovers() {
    for status in /proc/[0-9]*/cmdline; do
        case "$({ tr '\0' ' ' <"$status"; } 2>/dev/null)" in
        *containerd*"$directory/exec"*) kill -KILL "$(basename "$(dirname "$status")")" 2>/dev/null || true ;;
        esac
    done
}

end() {
    set +e
    if kill -0 "$engine" 2>/dev/null || start; then remove_containers; fi
    kill -TERM "$engine" 2>/dev/null
    wait "$engine" 2>/dev/null
    end_leftovers
    # The deepest first.
    cut -d ' ' -f 5 /proc/self/mountinfo | grep "^$directory/" | sort -r | while read -r mount; do
        umount -l "$mount" 2>/dev/null
    done
    # What was killed a moment ago may still write there.
    for try in 1 2 3 4 5 6 7 8 9; do rm -rf "$directory" 2>/dev/null && break || sleep 0.3; done
}
trap 'trap - EXIT; end' EXIT
trap exit TERM INT HUP
# Who listened may be gone already: then writing fails, and the end follows.
trap '' PIPE

engine=
start
"$images" "$socket" >/dev/null
echo up
while read -r command; do
    case $command in
    kill) kill_engine ;;
    stop) kill -TERM "$engine"; wait "$engine" 2>/dev/null || true ;;
    start) start ;;
    esac
    echo "did $command"
done
