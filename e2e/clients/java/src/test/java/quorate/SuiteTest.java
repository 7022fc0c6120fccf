package quorate;

import static java.nio.charset.StandardCharsets.UTF_8;
import static java.util.concurrent.TimeUnit.SECONDS;
import static org.junit.jupiter.api.Assertions.*;

import io.etcd.jetcd.*;
import io.etcd.jetcd.election.CampaignResponse;
import io.etcd.jetcd.kv.*;
import io.etcd.jetcd.op.*;
import io.etcd.jetcd.options.*;
import io.etcd.jetcd.watch.*;
import java.io.ByteArrayOutputStream;
import java.util.*;
import java.util.concurrent.*;
import org.junit.jupiter.api.*;

/** Runs jetcd against the server that QUORATE_ENDPOINT names. */
class SuiteTest {
  private static Client client;
  private final String prefix = "java/" + UUID.randomUUID() + "/";

  @BeforeAll
  static void connect() {
    client = Client.builder().endpoints("http://" + System.getenv("QUORATE_ENDPOINT")).build();
  }

  @AfterAll
  static void close() {
    client.close();
  }

  private static ByteSequence bytes(String text) {
    return ByteSequence.from(text, UTF_8);
  }

  private ByteSequence key(String name) {
    return bytes(prefix + name);
  }

  private static <T> T get(CompletableFuture<T> future) throws Exception {
    return future.get(20, SECONDS);
  }

  private String read(String name) throws Exception {
    var kvs = get(client.getKVClient().get(key(name))).getKvs();
    return kvs.isEmpty() ? null : kvs.get(0).getValue().toString(UTF_8);
  }

  @Test
  void putGetDelete() throws Exception {
    KV kv = client.getKVClient();
    get(kv.put(key("a"), bytes("1")));
    var again = get(kv.put(key("a"), bytes("2"), PutOption.builder().withPrevKV().build()));
    assertEquals("1", again.getPrevKv().getValue().toString(UTF_8));
    assertEquals("2", read("a"));
    assertEquals(1, get(kv.delete(key("a"))).getDeleted());
    assertNull(read("a"));
  }

  @Test
  void ranges() throws Exception {
    KV kv = client.getKVClient();
    for (int i = 0; i < 10; i++) get(kv.put(key("" + i), bytes("" + (9 - i))));
    var option = GetOption.builder().isPrefix(true).withLimit(3).withSortField(GetOption.SortTarget.VALUE)
        .withSortOrder(GetOption.SortOrder.ASCEND).build();
    GetResponse page = get(kv.get(key(""), option));
    assertEquals(10, page.getCount());
    assertTrue(page.isMore());
    assertEquals(List.of("0", "1", "2"), page.getKvs().stream().map(k -> k.getValue().toString(UTF_8)).toList());
  }

  @Test
  void transactions() throws Exception {
    KV kv = client.getKVClient();
    Callable<TxnResponse> attempt = () -> get(kv.txn()
        .If(new Cmp(key("k"), Cmp.Op.EQUAL, CmpTarget.version(0)))
        .Then(Op.put(key("k"), bytes("mine"), PutOption.DEFAULT))
        .Else(Op.get(key("k"), GetOption.DEFAULT)).commit());
    assertTrue(attempt.call().isSucceeded());
    TxnResponse second = attempt.call();
    assertFalse(second.isSucceeded());
    assertEquals("mine", second.getGetResponses().get(0).getKvs().get(0).getValue().toString(UTF_8));
  }

  @Test
  void watchResumesFromARevision() throws Exception {
    KV kv = client.getKVClient();
    long start = get(kv.put(key("w"), bytes("0"))).getHeader().getRevision();
    for (int i = 1; i < 20; i++) get(kv.put(key("w"), bytes("" + i)));
    get(kv.delete(key("w")));
    var events = new LinkedBlockingQueue<WatchEvent>();
    var option = WatchOption.builder().isPrefix(true).withRevision(start).withPrevKV(true).build();
    try (var watcher = client.getWatchClient().watch(key(""), option, r -> events.addAll(r.getEvents()))) {
      for (int i = 0; i < 20; i++) {
        WatchEvent event = events.poll(20, SECONDS);
        assertEquals("" + i, event.getKeyValue().getValue().toString(UTF_8));
      }
      WatchEvent last = events.poll(20, SECONDS);
      assertEquals(WatchEvent.EventType.DELETE, last.getEventType());
      assertEquals("19", last.getPrevKV().getValue().toString(UTF_8));
    }
  }

  @Test
  void leases() throws Exception {
    long id = get(client.getLeaseClient().grant(60)).getID();
    get(client.getKVClient().put(key("l"), bytes("x"), PutOption.builder().withLeaseId(id).build()));
    var left = get(client.getLeaseClient().timeToLive(id, LeaseOption.builder().withAttachedKeys().build()));
    assertEquals(60, left.getGrantedTTL());
    assertEquals(1, left.getKeys().size());
    assertEquals(60, get(client.getLeaseClient().keepAliveOnce(id)).getTTL());
    get(client.getLeaseClient().revoke(id));
    assertNull(read("l"));
  }

  @Test
  void locksExclude() throws Exception {
    Lock lock = client.getLockClient();
    long one = get(client.getLeaseClient().grant(60)).getID(), two = get(client.getLeaseClient().grant(60)).getID();
    ByteSequence held = get(lock.lock(key("m"), one)).getKey();
    var waiting = lock.lock(key("m"), two);
    assertFalse(waiting.isDone());
    get(lock.unlock(held));
    get(lock.unlock(get(waiting).getKey()));
  }

  @Test
  void elections() throws Exception {
    Election election = client.getElectionClient();
    long one = get(client.getLeaseClient().grant(60)).getID(), two = get(client.getLeaseClient().grant(60)).getID();
    CampaignResponse won = get(election.campaign(key("e"), one, bytes("one")));
    var waiting = election.campaign(key("e"), two, bytes("two"));
    assertEquals("one", get(election.leader(key("e"))).getKv().getValue().toString(UTF_8));
    get(election.proclaim(won.getLeader(), bytes("still one")));
    get(election.resign(won.getLeader()));
    get(election.resign(get(waiting).getLeader()));
  }

  @Test
  void maintenance() throws Exception {
    var endpoint = "http://" + System.getenv("QUORATE_ENDPOINT");
    assertTrue(get(client.getMaintenanceClient().statusMember(endpoint)).getDbSize() > 0);
    assertTrue(get(client.getMaintenanceClient().listAlarms()).getAlarms().isEmpty());
    assertEquals(1, get(client.getClusterClient().listMember()).getMembers().size());
    assertNotEquals(0, get(client.getMaintenanceClient().hashKV(endpoint, 0)).getHash());
    var out = new ByteArrayOutputStream();
    get(client.getMaintenanceClient().snapshot(out));
    assertEquals(32, out.size() % 512);
  }

  @Test
  void errorsKeepTheirText() {
    var failure = assertThrows(ExecutionException.class, () -> get(client.getKVClient().put(bytes(""), bytes("x"))));
    assertTrue(failure.getMessage().contains("etcdserver: key is not provided"), failure.getMessage());
  }
}
