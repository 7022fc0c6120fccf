#!/usr/bin/env bash
# Records what a real etcd answers, for tests/etcd.rs:  record.sh <etcd> <etcdctl> <etcdutl or etcdctl> <name>
# Writes <name>-<step>.txt and <name>-<step>.db (cut at its high-water mark) beside this script; the files of steps 2 and 4
# are not kept. Loopback only.
set -euo pipefail
etcd=$1 ctl=$2 utl=$3 name=$4
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
port=23479
export ETCDCTL_API=3 ETCDCTL_ENDPOINTS=127.0.0.1:$port
pid=

start() {
    "$etcd" --name one --data-dir "$dir" --listen-client-urls "http://127.0.0.1:$port" \
        --advertise-client-urls "http://127.0.0.1:$port" --listen-peer-urls http://127.0.0.1:23480 \
        --initial-advertise-peer-urls http://127.0.0.1:23480 --initial-cluster one=http://127.0.0.1:23480 \
        >"$dir.log" 2>&1 &
    pid=$!
    until "$ctl" endpoint health >/dev/null 2>&1; do sleep 0.1; done
}

stop() {
    kill "$pid"
    wait "$pid" || true
}
trap 'kill "$pid" 2>/dev/null || true; rm -rf "$dir" "$dir.log"' EXIT

# One line a revision: asked, then hash and compact revision, or the error.
hashes() {
    local asked out
    for asked in $(seq 0 "$1"); do
        if out=$("$ctl" endpoint hashkv --rev="$asked" -w json 2>&1); then
            echo "hashkv $asked $(sed -E 's/.*"hash":([0-9]+).*"compact_revision":(-?[0-9]+).*/\1 \2/' <<<"$out")"
        elif grep -q compacted <<<"$out"; then
            echo "hashkv $asked compacted"
        else
            echo "hashkv $asked future"
        fi
    done
}

# record <step> <highest revision asked>
record() {
    local file=$here/$name-$1
    hashes "$2" >"$file.txt"
    "$ctl" get '' --from-key -w json | sed -E 's/.*"revision":([0-9]+).*/revision \1/' >>"$file.txt"
    stop
    # The high-water mark of the newer meta page.
    local pages
    pages=$(od -A n -t u8 -j 56 -N 16 "$dir/member/snap/db"; od -A n -t u8 -j 4152 -N 16 "$dir/member/snap/db")
    pages=$(sort -k 2 -n <<<"$pages" | tail -1 | awk '{print $1}')
    head -c $((pages * 4096)) "$dir/member/snap/db" >"$file.db"
    "$utl" snapshot status "$file.db" -w json | sed -E 's/.*"hash":([0-9]+).*/file \1/' >>"$file.txt"
    start
}

start
"$ctl" put a 1
"$ctl" put b 1
"$ctl" put a 2
"$ctl" del b
"$ctl" put b 2
lease=$("$ctl" lease grant 9000000 | awk '{print $2}')
"$ctl" put c 1 --lease="$lease"
"$ctl" del a
printf '\nput d 1\nput e 1\ndel c\nput f 1\n\n\n' | "$ctl" txn
for n in 1 2 3 4 5 6 7 8 9; do "$ctl" put "k$n" "$(printf 'v%.0s' $(seq $((n * 100))))"; done
"$ctl" del k3 k6
"$ctl" put k4 again
"$ctl" del d
record 1-written 23
"$ctl" compaction 5 --physical
record 2-compacted-at-5 23
# At a tombstone.
"$ctl" compaction 8 --physical
record 3-compacted-at-8 23
"$ctl" compaction 19 --physical
record 4-compacted-at-19 23
# At the current revision, a tombstone.
"$ctl" compaction 21 --physical
record 5-compacted-at-21 23
stop
