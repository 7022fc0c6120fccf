// Runs the Node client etcd3 against the server that QUORATE_ENDPOINT names.
'use strict';
const { test, before, after } = require('node:test');
const assert = require('node:assert');
const crypto = require('node:crypto');
const { once } = require('node:events');
const { Etcd3, EtcdLeaseInvalidError } = require('etcd3');

let client;
before(() => { client = new Etcd3({ hosts: `http://${process.env.QUORATE_ENDPOINT}` }); });
after(() => client.close());
const space = () => client.namespace(`node/${crypto.randomUUID()}/`);

test('put, get, delete', async () => {
  const kv = space();
  await kv.put('a').value('1');
  assert.strictEqual(await kv.get('a').string(), '1');
  assert.strictEqual(await kv.get('none').string(), null);
  assert.strictEqual(Number((await kv.delete().key('a')).deleted), 1);
  assert.strictEqual(await kv.get('a').string(), null);
});

test('ranges, limits, sorting', async () => {
  const kv = space();
  for (let i = 0; i < 10; i++) await kv.put(`k${i}`).value(`${9 - i}`);
  assert.strictEqual(Object.keys(await kv.getAll().strings()).length, 10);
  assert.deepStrictEqual(await kv.getAll().limit(2).keys(), ['k0', 'k1']);
  assert.deepStrictEqual(await kv.getAll().sort('Value', 'Ascend').limit(2).keys(), ['k9', 'k8']);
  assert.strictEqual(await kv.getAll().count(), 10);
});

test('transactions', async () => {
  const kv = space();
  const attempt = () => kv.if('k', 'Create', '==', 0).then(kv.put('k').value('mine')).else(kv.get('k')).commit();
  assert.ok((await attempt()).succeeded);
  const second = await attempt();
  assert.ok(!second.succeeded);
  assert.strictEqual(second.responses[0].response_range.kvs[0].value.toString(), 'mine');
});

test('software transactional memory', async () => {
  const kv = space();
  await kv.put('n').value('0');
  const add = () => kv.stm().transact(async tx => { await tx.put('n').value(`${1 + Number(await tx.get('n').number())}`); });
  for (let i = 0; i < 3; i++) await Promise.all([add(), add()]);
  assert.strictEqual(await kv.get('n').number(), 6);
});

test('a watch sees puts and deletes in order, and resumes from a revision', async () => {
  const kv = space();
  const watcher = await kv.watch().prefix('').create();
  const seen = [];
  const done = new Promise(resolve => {
    watcher.on('put', r => seen.push(r.value.toString()));
    watcher.on('delete', r => { seen.push('gone'); resolve(r); });
  });
  await kv.put('w').value('1');
  await kv.put('w').value('2');
  await kv.delete().key('w');
  const last = await done;
  assert.deepStrictEqual(seen, ['1', '2', 'gone']);
  await watcher.cancel();
  await kv.put('w').value('3');
  const again = await kv.watch().prefix('').startRevision(String(Number(last.mod_revision) + 1)).create();
  const [event] = await once(again, 'put');
  assert.strictEqual(event.value.toString(), '3');
  await again.cancel();
});

test('leases keep, expire and revoke', async () => {
  const kv = space();
  const lease = kv.lease(60);
  await lease.put('l').value('x');
  const left = await client.leaseClient.leaseTimeToLive({ ID: await lease.grant(), keys: true });
  assert.strictEqual(Number(left.grantedTTL), 60);
  assert.strictEqual(left.keys.length, 1);
  await lease.keepaliveOnce();
  await lease.revoke();
  assert.strictEqual(await kv.get('l').string(), null);
  await assert.rejects(kv.put('l').lease(12345).value('x').exec(), /requested lease not found/);
});

test('a lost lease is told', async () => {
  const lease = client.lease(30);
  const id = await lease.grant();
  const lost = once(lease, 'lost');
  await client.leaseClient.leaseRevoke({ ID: id });
  await lease.keepaliveOnce().catch(() => {});
  const [error] = await lost;
  assert.ok(error instanceof EtcdLeaseInvalidError);
});

test('locks exclude', async () => {
  const kv = space();
  const first = await kv.lock('m').ttl(30).acquire();
  await assert.rejects(kv.lock('m').ttl(30).acquire());
  await first.release();
  const second = await kv.lock('m').ttl(30).acquire();
  await second.release();
});

test('an election changes its leader', async () => {
  const kv = space();
  const election = kv.election('e', 30);
  const campaign = election.campaign('one');
  await once(campaign, 'elected');
  assert.strictEqual(await election.leader(), 'one');
  const second = election.campaign('two');
  await campaign.resign();
  await once(second, 'elected');
  assert.strictEqual(await election.leader(), 'two');
  await second.resign();
});

test('status, members, alarms', async () => {
  const status = await client.maintenance.status();
  const members = await client.cluster.memberList({});
  assert.strictEqual(status.leader, members.members[0].ID);
  assert.deepStrictEqual((await client.maintenance.alarm({ action: 'Get' })).alarms, []);
});
