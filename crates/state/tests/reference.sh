#!/bin/sh
# Makes a data directory of a real etcd for tests/reference.rs: reference.sh <etcd> <etcdctl> <directory> <port>
#
# Keys, transactions, leases, a compaction, users, conf changes and v2 keys, with snapshot files on the way. The compaction
# stands at a put, because releases before 3.5.16 drop a tombstone at the compacted revision.
set -u
etcd=$1 ctl=$2 dir=$3 port=$4
client=http://127.0.0.1:$port
peer=http://127.0.0.1:$((port + 1))
rm -rf "$dir"
"$etcd" --name m --data-dir "$dir" --enable-v2 --snapshot-count 15 \
    --listen-client-urls "$client" --advertise-client-urls "$client" \
    --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" --initial-cluster "m=$peer" >"$dir.log" 2>&1 &
pid=$!
export ETCDCTL_API=3 ETCDCTL_ENDPOINTS="$client"
c() { "$ctl" "$@"; }
tries=0
until c endpoint health >/dev/null 2>&1 || [ $tries -ge 100 ]; do tries=$((tries + 1)); sleep 0.1; done

for i in 1 2 3 4 5 6 7 8 9; do c put "k$i" "v$i"; done
c put k1 second; c del k2; c del k3 k5; c put k2 again
kept=$(c lease grant 600 | cut -d' ' -f2)
c put l1 x --lease="$kept"; c put l2 y --lease="$kept"; c put l1 z
gone=$(c lease grant 1 | cut -d' ' -f2)
c put l3 x --lease="$gone"; c put l2 moved --lease="$gone"; c lease revoke "$gone"
printf 'value("k1") = "second"\nversion("nope") = "0"\n\nput t1 a\nput t2 b\nget k1\ndel k6\n\nput never x\n\n' | c txn
printf 'mod("k1") = "1"\n\nput never x\n\nput t3 c\nget t1\n\n' | c txn
printf '\n\nput t9 c --lease=404\n\n\n' | c txn
c put k7 --ignore-value; c put none --ignore-value; c put l1 --ignore-value --lease="$kept"
c compaction 11
c put after compact
curl -s "$client/v2/keys/a" -XPUT -d value=1
curl -s "$client/v2/keys/dir/b" -XPUT -d value=2 -d ttl=1
curl -s "$client/v2/keys/q" -XPOST -d value=3
c member add x --learner --peer-urls=http://127.0.0.1:1
added=$(c member list | grep 127.0.0.1:1, | cut -d, -f1)
c member update "$added" --peer-urls=http://127.0.0.1:2; c member remove "$added"
c role add r; c role grant-permission r readwrite a c; c role grant-permission r read k --prefix
c role grant-permission r read a c; c role add gone; c role delete gone
c user add root:pw; c user add u:pw; c user add gone:pw; c user delete gone
c user grant-role u r; c user grant-role root root
echo newpw | c user passwd u --interactive=false
c role revoke-permission r k --prefix
c auth enable
c --user root:pw put z 1; c --user u:newpw put a 1; c --user u:newpw put z 1; c --user u:newpw get a; c put z 2
c --user root:pw user list; c --user u:newpw user list; c --user root:pw auth disable
c put end 1
# The v2 key with a TTL expires.
sleep 1.5
kill $pid
wait $pid || true
