// Package clients runs etcd's own Go client against the server that QUORATE_ENDPOINT names.
package clients

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

func dial(t *testing.T) *clientv3.Client {
	t.Helper()
	endpoint := os.Getenv("QUORATE_ENDPOINT")
	if endpoint == "" {
		t.Fatal("QUORATE_ENDPOINT names no server")
	}
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, DialTimeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// prefix is a part of the key space that this run alone uses.
func prefix(t *testing.T) string {
	return fmt.Sprintf("go/%s/%d/", t.Name(), time.Now().UnixNano())
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestPutGetDelete(t *testing.T) {
	c, ctx, p := dial(t), within(t), prefix(t)
	put := must[*clientv3.PutResponse](t)(c.Put(ctx, p+"a", "1"))
	again := must[*clientv3.PutResponse](t)(c.Put(ctx, p+"a", "2", clientv3.WithPrevKV()))
	if again.Header.Revision != put.Header.Revision+1 || string(again.PrevKv.Value) != "1" {
		t.Fatalf("second put: %v", again)
	}
	old := must[*clientv3.GetResponse](t)(c.Get(ctx, p+"a", clientv3.WithRev(put.Header.Revision)))
	if string(old.Kvs[0].Value) != "1" || old.Kvs[0].Version != 1 {
		t.Fatalf("get at the older revision: %v", old)
	}
	del := must[*clientv3.DeleteResponse](t)(c.Delete(ctx, p+"a", clientv3.WithPrevKV()))
	if del.Deleted != 1 || string(del.PrevKvs[0].Value) != "2" {
		t.Fatalf("delete: %v", del)
	}
	if got := must[*clientv3.GetResponse](t)(c.Get(ctx, p+"a")); got.Count != 0 {
		t.Fatalf("still there: %v", got)
	}
}

func TestRangeOptions(t *testing.T) {
	c, ctx, p := dial(t), within(t), prefix(t)
	for i := 9; i >= 0; i-- {
		must[*clientv3.PutResponse](t)(c.Put(ctx, fmt.Sprintf("%s%d", p, i), fmt.Sprint(i)))
	}
	page := must[*clientv3.GetResponse](t)(c.Get(ctx, p, clientv3.WithPrefix(), clientv3.WithLimit(4)))
	if len(page.Kvs) != 4 || !page.More || page.Count != 10 {
		t.Fatalf("a page: %v", page)
	}
	byMod := must[*clientv3.GetResponse](t)(c.Get(ctx, p, clientv3.WithPrefix(), clientv3.WithSort(clientv3.SortByModRevision, clientv3.SortAscend), clientv3.WithLimit(1)))
	if string(byMod.Kvs[0].Value) != "9" {
		t.Fatalf("the oldest: %v", byMod)
	}
	keys := must[*clientv3.GetResponse](t)(c.Get(ctx, p, clientv3.WithPrefix(), clientv3.WithKeysOnly(), clientv3.WithSort(clientv3.SortByKey, clientv3.SortDescend)))
	if len(keys.Kvs) != 10 || len(keys.Kvs[0].Value) != 0 || !sort.SliceIsSorted(keys.Kvs, func(i, j int) bool { return string(keys.Kvs[i].Key) > string(keys.Kvs[j].Key) }) {
		t.Fatalf("keys only, descending: %v", keys)
	}
	count := must[*clientv3.GetResponse](t)(c.Get(ctx, p, clientv3.WithPrefix(), clientv3.WithCountOnly()))
	if count.Count != 10 || len(count.Kvs) != 0 {
		t.Fatalf("count: %v", count)
	}
}

func TestTransaction(t *testing.T) {
	c, ctx, p := dial(t), within(t), prefix(t)
	txn := func() *clientv3.TxnResponse {
		return must[*clientv3.TxnResponse](t)(c.Txn(ctx).
			If(clientv3.Compare(clientv3.CreateRevision(p+"k"), "=", 0)).
			Then(clientv3.OpPut(p+"k", "first"), clientv3.OpGet(p+"k")).
			Else(clientv3.OpGet(p + "k")).Commit())
	}
	first, second := txn(), txn()
	if !first.Succeeded || second.Succeeded {
		t.Fatalf("%v then %v", first, second)
	}
	if kv := second.Responses[0].GetResponseRange().Kvs[0]; string(kv.Value) != "first" || kv.CreateRevision != first.Header.Revision {
		t.Fatalf("the loser reads %v", kv)
	}
	nested := must[*clientv3.TxnResponse](t)(c.Txn(ctx).Then(clientv3.OpTxn(
		[]clientv3.Cmp{clientv3.Compare(clientv3.Value(p+"k"), "=", "first")},
		[]clientv3.Op{clientv3.OpPut(p+"n", "yes")}, nil)).Commit())
	if !nested.Responses[0].GetResponseTxn().Succeeded {
		t.Fatalf("nested: %v", nested)
	}
}

func TestErrorsAreTheClientsOwn(t *testing.T) {
	c, ctx, p := dial(t), within(t), prefix(t)
	_, err := c.Put(ctx, "", "x")
	if !errors.Is(err, rpctypes.ErrEmptyKey) {
		t.Fatalf("empty key: %v", err)
	}
	if _, err = c.Get(ctx, p, clientv3.WithRev(1<<40)); !errors.Is(err, rpctypes.ErrFutureRev) {
		t.Fatalf("future: %v", err)
	}
	if _, err = c.Put(ctx, p, "x", clientv3.WithLease(12345)); !errors.Is(err, rpctypes.ErrLeaseNotFound) {
		t.Fatalf("lease: %v", err)
	}
	if _, err = c.Txn(ctx).Then(clientv3.OpPut(p, "1"), clientv3.OpPut(p, "2")).Commit(); !errors.Is(err, rpctypes.ErrDuplicateKey) {
		t.Fatalf("duplicate: %v", err)
	}
	if _, err = c.Put(ctx, p, strings.Repeat("x", 1600000)); !errors.Is(err, rpctypes.ErrRequestTooLarge) {
		t.Fatalf("large: %v", err)
	}
}

func TestWatchFromRevisionSeesEverythingInOrder(t *testing.T) {
	c, ctx, p := dial(t), within(t), prefix(t)
	start := must[*clientv3.PutResponse](t)(c.Put(ctx, p+"0", "0")).Header.Revision
	for i := 1; i < 50; i++ {
		must[*clientv3.PutResponse](t)(c.Put(ctx, p+"k", fmt.Sprint(i)))
	}
	watch := c.Watch(ctx, p, clientv3.WithPrefix(), clientv3.WithRev(start), clientv3.WithPrevKV())
	go func() {
		for i := 50; i < 100; i++ {
			c.Put(ctx, p+"k", fmt.Sprint(i))
		}
		c.Delete(ctx, p+"k")
	}()
	next, last := 0, start-1
	for response := range watch {
		if response.Err() != nil {
			t.Fatal(response.Err())
		}
		for _, event := range response.Events {
			if event.Kv.ModRevision <= last {
				t.Fatalf("revision %d after %d", event.Kv.ModRevision, last)
			}
			last = event.Kv.ModRevision
			if event.Type == clientv3.EventTypeDelete {
				if next != 100 || string(event.PrevKv.Value) != "99" {
					t.Fatalf("deleted after %d events, before it %v", next, event.PrevKv)
				}
				return
			}
			if string(event.Kv.Value) != fmt.Sprint(next) {
				t.Fatalf("value %s, not %d", event.Kv.Value, next)
			}
			next++
		}
	}
	t.Fatalf("the watch ended after %d events: %v", next, ctx.Err())
}

func TestWatchBelowCompactionIsCancelled(t *testing.T) {
	c, ctx, p := dial(t), within(t), prefix(t)
	first := must[*clientv3.PutResponse](t)(c.Put(ctx, p, "1")).Header.Revision
	last := must[*clientv3.PutResponse](t)(c.Put(ctx, p, "2")).Header.Revision
	must[*clientv3.CompactResponse](t)(c.Compact(ctx, last, clientv3.WithCompactPhysical()))
	if _, err := c.Get(ctx, p, clientv3.WithRev(first)); !errors.Is(err, rpctypes.ErrCompacted) {
		t.Fatalf("get: %v", err)
	}
	for response := range c.Watch(ctx, p, clientv3.WithRev(first)) {
		if response.CompactRevision != last || !errors.Is(response.Err(), rpctypes.ErrCompacted) {
			t.Fatalf("%v", response)
		}
		return
	}
	t.Fatal("the watch ended without an answer")
}

func TestWatchProgress(t *testing.T) {
	c, ctx, p := dial(t), within(t), prefix(t)
	watch := c.Watch(clientv3.WithRequireLeader(ctx), p, clientv3.WithCreatedNotify())
	if response := <-watch; !response.Created {
		t.Fatalf("created: %v", response)
	}
	put := must[*clientv3.PutResponse](t)(c.Put(ctx, p+"other", ""))
	for {
		if err := c.RequestProgress(clientv3.WithRequireLeader(ctx)); err != nil {
			t.Fatal(err)
		}
		response := <-watch
		if !response.IsProgressNotify() {
			t.Fatalf("%v", response)
		}
		if response.Header.Revision >= put.Header.Revision {
			return
		}
	}
}

func TestLeaseLifecycle(t *testing.T) {
	c, ctx, p := dial(t), within(t), prefix(t)
	lease := must[*clientv3.LeaseGrantResponse](t)(c.Grant(ctx, 600))
	must[*clientv3.PutResponse](t)(c.Put(ctx, p, "x", clientv3.WithLease(lease.ID)))
	left := must[*clientv3.LeaseTimeToLiveResponse](t)(c.TimeToLive(ctx, lease.ID, clientv3.WithAttachedKeys()))
	if left.GrantedTTL != 600 || left.TTL < 590 || len(left.Keys) != 1 || string(left.Keys[0]) != p {
		t.Fatalf("%v", left)
	}
	once := must[*clientv3.LeaseKeepAliveResponse](t)(c.KeepAliveOnce(ctx, lease.ID))
	if once.TTL != 600 {
		t.Fatalf("%v", once)
	}
	must[*clientv3.LeaseRevokeResponse](t)(c.Revoke(ctx, lease.ID))
	if got := must[*clientv3.GetResponse](t)(c.Get(ctx, p)); got.Count != 0 {
		t.Fatal("the key outlived its lease")
	}
	if _, err := c.KeepAliveOnce(ctx, lease.ID); !errors.Is(err, rpctypes.ErrLeaseNotFound) {
		t.Fatalf("keep-alive of a revoked lease: %v", err)
	}
	if gone := must[*clientv3.LeaseTimeToLiveResponse](t)(c.TimeToLive(ctx, lease.ID)); gone.TTL != -1 {
		t.Fatalf("%v", gone)
	}
}

func TestLeaseExpiryDeletesItsKeys(t *testing.T) {
	c, ctx, p := dial(t), within(t), prefix(t)
	lease := must[*clientv3.LeaseGrantResponse](t)(c.Grant(ctx, 1))
	put := must[*clientv3.PutResponse](t)(c.Put(ctx, p, "x", clientv3.WithLease(lease.ID)))
	for response := range c.Watch(ctx, p, clientv3.WithRev(put.Header.Revision+1)) {
		if len(response.Events) != 1 || response.Events[0].Type != clientv3.EventTypeDelete {
			t.Fatalf("%v", response)
		}
		return
	}
	t.Fatal("the watch ended")
}

func TestMutexAdmitsOne(t *testing.T) {
	c, ctx, p := dial(t), within(t), prefix(t)
	var inside, most, entered int
	var guard, wait = sync.Mutex{}, sync.WaitGroup{}
	for i := 0; i < 8; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			session, err := concurrency.NewSession(c, concurrency.WithTTL(30))
			if err != nil {
				t.Error(err)
				return
			}
			defer session.Close()
			mutex := concurrency.NewMutex(session, p)
			if err := mutex.Lock(ctx); err != nil {
				t.Error(err)
				return
			}
			guard.Lock()
			inside++
			entered++
			most = max(most, inside)
			guard.Unlock()
			must[*clientv3.GetResponse](t)(c.Get(ctx, p, clientv3.WithPrefix()))
			guard.Lock()
			inside--
			guard.Unlock()
			if err := mutex.Unlock(ctx); err != nil {
				t.Error(err)
			}
		}()
	}
	wait.Wait()
	if most != 1 || entered != 8 {
		t.Fatalf("%d entered, %d at once", entered, most)
	}
}

func TestElection(t *testing.T) {
	c, ctx, p := dial(t), within(t), prefix(t)
	one := must[*concurrency.Session](t)(concurrency.NewSession(c))
	two := must[*concurrency.Session](t)(concurrency.NewSession(c))
	first, second := concurrency.NewElection(one, p), concurrency.NewElection(two, p)
	if err := first.Campaign(ctx, "one"); err != nil {
		t.Fatal(err)
	}
	won := make(chan error, 1)
	go func() { won <- second.Campaign(ctx, "two") }()
	observed := second.Observe(ctx)
	if got := <-observed; string(got.Kvs[0].Value) != "one" {
		t.Fatalf("%v", got)
	}
	if err := first.Proclaim(ctx, "still one"); err != nil {
		t.Fatal(err)
	}
	if err := first.Resign(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-won; err != nil {
		t.Fatal(err)
	}
	if leader := must[*clientv3.GetResponse](t)(second.Leader(ctx)); string(leader.Kvs[0].Value) != "two" {
		t.Fatalf("%v", leader)
	}
}

func TestSoftwareTransactionalMemory(t *testing.T) {
	c, ctx, p := dial(t), within(t), prefix(t)
	must[*clientv3.PutResponse](t)(c.Put(ctx, p+"from", strings.Repeat("x", 40)))
	must[*clientv3.PutResponse](t)(c.Put(ctx, p+"to", ""))
	var wait sync.WaitGroup
	for i := 0; i < 8; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for j := 0; j < 5; j++ {
				_, err := concurrency.NewSTM(c, func(stm concurrency.STM) error {
					from, to := stm.Get(p+"from"), stm.Get(p+"to")
					stm.Put(p+"from", from[1:])
					stm.Put(p+"to", to+from[:1])
					return nil
				}, concurrency.WithAbortContext(ctx))
				if err != nil {
					t.Error(err)
				}
			}
		}()
	}
	wait.Wait()
	if to := must[*clientv3.GetResponse](t)(c.Get(ctx, p+"to")); len(to.Kvs[0].Value) != 40 {
		t.Fatalf("%d moved", len(to.Kvs[0].Value))
	}
}

func TestMaintenance(t *testing.T) {
	c, ctx := dial(t), within(t)
	members := must[*clientv3.MemberListResponse](t)(c.MemberList(ctx))
	status := must[*clientv3.StatusResponse](t)(c.Status(ctx, os.Getenv("QUORATE_ENDPOINT")))
	if len(members.Members) != 1 || status.Leader != members.Members[0].ID || status.DbSize == 0 {
		t.Fatalf("%v, %v", members, status)
	}
	hash := must[*clientv3.HashKVResponse](t)(c.HashKV(ctx, os.Getenv("QUORATE_ENDPOINT"), 0))
	if hash.Hash == 0 {
		t.Fatalf("%v", hash)
	}
	must[*clientv3.AlarmResponse](t)(c.AlarmList(ctx))
	must[*clientv3.DefragmentResponse](t)(c.Defragment(ctx, os.Getenv("QUORATE_ENDPOINT")))
	snapshot := must[*clientv3.SnapshotResponse](t)(c.SnapshotWithVersion(ctx))
	defer snapshot.Snapshot.Close()
	buffer, total := make([]byte, 1<<16), 0
	for {
		n, err := snapshot.Snapshot.Read(buffer)
		total += n
		if err != nil {
			break
		}
	}
	if total%512 != 32 {
		t.Fatalf("a snapshot of %d bytes carries no checksum", total)
	}
}
