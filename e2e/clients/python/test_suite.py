"""Runs the Python client etcd3 against the server that QUORATE_ENDPOINT names."""
import os
import queue
import threading
import uuid

import etcd3
import pytest


def connect():
    host, port = os.environ['QUORATE_ENDPOINT'].rsplit(':', 1)
    return etcd3.client(host=host, port=int(port), timeout=20)


@pytest.fixture
def client():
    with connect() as c:
        yield c


@pytest.fixture
def prefix():
    return 'python/%s/' % uuid.uuid4()


def test_put_get_delete(client, prefix):
    client.put(prefix + 'a', 'one')
    value, meta = client.get(prefix + 'a')
    assert value == b'one' and meta.version == 1 and meta.create_revision == meta.mod_revision
    before = client.put(prefix + 'a', 'two', prev_kv=True)
    assert before.prev_kv.value == b'one'
    assert client.delete(prefix + 'a') is True
    assert client.delete(prefix + 'a') is False
    assert client.get(prefix + 'a') == (None, None)


def test_ranges(client, prefix):
    for i in range(20):
        client.put('%s%02d' % (prefix, i), str(i))
    values = [v for v, _ in client.get_prefix(prefix, sort_order='descend', sort_target='key')]
    assert values == [str(i).encode() for i in reversed(range(20))]
    some = [m.key.decode() for _, m in client.get_range(prefix + '05', prefix + '08')]
    assert some == [prefix + '05', prefix + '06', prefix + '07']
    assert client.delete_prefix(prefix).deleted == 20
    assert list(client.get_prefix(prefix)) == []


def test_binary_and_empty_values(client, prefix):
    client.put(prefix + 'b', bytes(range(256)))
    assert client.get(prefix + 'b')[0] == bytes(range(256))
    client.put(prefix + 'b', b'')
    assert client.get(prefix + 'b')[0] == b''


def test_transactions(client, prefix):
    key = prefix + 'k'

    def attempt():
        return client.transaction(
            compare=[client.transactions.version(key) == 0],
            success=[client.transactions.put(key, 'mine'), client.transactions.get(key)],
            failure=[client.transactions.get(key)])

    won, answers = attempt()
    assert won and answers[1][0][0] == b'mine'
    won, answers = attempt()
    assert not won and answers[0][0][0] == b'mine'
    assert client.replace(key, 'mine', 'yours') and not client.replace(key, 'mine', 'theirs')
    assert client.get(key)[0] == b'yours'


def test_a_watch_follows_and_resumes(client, prefix):
    client.put(prefix + 'w', '0')
    start = client.get(prefix + 'w')[1].mod_revision
    for i in range(1, 10):
        client.put(prefix + 'w', str(i))
    events, cancel = client.watch_prefix(prefix, start_revision=start)
    first = [next(events) for _ in range(10)]
    cancel()
    assert [e.value for e in first] == [str(i).encode() for i in range(10)]
    client.delete(prefix + 'w')
    with connect() as other:
        events, cancel = other.watch_prefix(prefix, start_revision=first[-1].mod_revision + 1)
        last = next(events)
        cancel()
    assert isinstance(last, etcd3.events.DeleteEvent)


def test_a_callback_sees_what_is_written(client, prefix):
    seen, done = [], threading.Event()

    def callback(response):
        for event in response.events:
            seen.append(event.value)
            if event.value == b'last':
                done.set()

    watch = client.add_watch_prefix_callback(prefix, callback)
    for value in ('first', 'middle', 'last'):
        client.put(prefix + 'x', value)
    assert done.wait(20)
    client.cancel_watch(watch)
    assert seen == [b'first', b'middle', b'last']


def test_leases(client, prefix):
    lease = client.lease(60)
    client.put(prefix + 'l', 'x', lease=lease)
    assert lease.granted_ttl == 60 and 50 < lease.remaining_ttl <= 60
    assert lease.keys == [(prefix + 'l').encode()]
    assert list(lease.refresh())[0].TTL == 60
    lease.revoke()
    assert client.get(prefix + 'l') == (None, None)


def test_a_lease_runs_out(client, prefix):
    lease = client.lease(1)
    client.put(prefix + 'l', 'x', lease=lease)
    events, cancel = client.watch(prefix + 'l')
    assert isinstance(next(events), etcd3.events.DeleteEvent)
    cancel()


def test_locks_exclude(client, prefix):
    name = prefix + 'lock'
    with client.lock(name, ttl=30) as held:
        assert held.is_acquired()
        with connect() as other:
            assert not other.lock(name, ttl=30).acquire(timeout=1)
    with connect() as other:
        assert other.lock(name, ttl=30).acquire(timeout=10)


def test_status_members_and_alarms(client):
    members = list(client.members)
    assert len(members) == 1 and members[0].client_urls
    status = client.status()
    assert status.leader.id == members[0].id and status.db_size > 0
    assert list(client.list_alarms()) == []
    assert client.hash()


def test_compaction(client, prefix):
    client.put(prefix + 'c', '1')
    old = client.get(prefix + 'c')[1].mod_revision
    client.put(prefix + 'c', '2')
    last = client.get(prefix + 'c')[1].mod_revision
    client.compact(last, physical=True)
    answers = queue.Queue()
    client.add_watch_callback(prefix + 'c', answers.put, start_revision=old)
    refused = answers.get(timeout=20)
    assert isinstance(refused, etcd3.exceptions.RevisionCompactedError) and refused.compacted_revision == last
    client.defragment()
    assert client.get(prefix + 'c')[0] == b'2'


def test_snapshot(client, tmp_path):
    with open(tmp_path / 'snap', 'wb') as f:
        client.snapshot(f)
    assert (tmp_path / 'snap').stat().st_size % 512 == 32
