use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;

fn put(revision: i64, created: i64, version: i64) -> Change {
    Change { revision: Revision::first_of(revision), created, version }
}

#[test]
fn generations_count_versions_and_end_with_a_tombstone() {
    let mut index = Index::default();
    index.put(b"a", Revision::first_of(2));
    index.put(b"a", Revision { main: 3, sub: 1 });
    index.tombstone(b"a", Revision::first_of(5));
    let (meta, _) = index.put(b"a", Revision::first_of(7));
    assert_eq!(meta, KeyMeta { create_revision: 7, revision: Revision::first_of(7), version: 1 });
    let at = |revision| index.meta_at(b"a", revision).map(|m| (m.create_revision, m.revision.main, m.version));
    assert_eq!(at(1), None);
    assert_eq!(at(2), Some((2, 2, 1)));
    assert_eq!(at(4), Some((2, 3, 2)));
    assert_eq!(at(5), None);
    assert_eq!(at(6), None);
    assert_eq!(at(9), Some((7, 7, 1)));
}

#[test]
fn compaction_keeps_the_newest_and_a_tombstone_at_its_revision() {
    let mut index = Index::default();
    for revision in 2..=4 {
        index.put(b"a", Revision::first_of(revision));
    }
    index.tombstone(b"a", Revision::first_of(5));
    index.put(b"b", Revision::first_of(6));
    let changes = |index: &Index, key: &[u8]| index.get(key).map(|e| e.changes().collect::<Vec<_>>());

    let mut at_three = index.clone();
    assert_eq!(at_three.compact_slice(3, b"", 100), None);
    let left = changes(&at_three, b"a").unwrap();
    assert_eq!(left[..2], [put(3, 2, 2), put(4, 2, 3)]);

    let mut at_five = index.clone();
    assert_eq!(at_five.compact_slice(5, b"", 1), Some(b"b".to_vec()));
    assert_eq!(changes(&at_five, b"a").unwrap(), [put(5, 5, 0)]);
    assert_eq!(at_five.compact_slice(6, b"", 1), Some(b"b".to_vec()));
    assert_eq!(changes(&at_five, b"a"), None);
    // The snapshot stands.
    assert_eq!(changes(&index, b"a").unwrap().len(), 4);
}

/// Entries as blocks and long ones agree with a plain list, through compactions.
#[test]
fn entries_agree_with_a_list() {
    let mut rng = SmallRng::seed_from_u64(3);
    for _ in 0..60 {
        let key = vec![b'k'; rng.random_range(0..200)];
        let mut index = Index::default();
        let mut list: Vec<Change> = Vec::new();
        let mut main = 1;
        for _ in 0..rng.random_range(1..150) {
            main += rng.random_range(1..1000);
            let revision = Revision { main, sub: rng.random_range(0..3) };
            let last = list.last().copied().filter(|last| !last.is_tombstone());
            match last {
                Some(last) if rng.random_bool(0.2) => {
                    index.tombstone(&key, revision);
                    list.push(Change { revision, created: last.created, version: 0 });
                }
                Some(last) => {
                    index.put(&key, revision);
                    list.push(Change { revision, created: last.created, version: last.version + 1 });
                }
                None => {
                    index.put(&key, revision);
                    list.push(Change { revision, created: main, version: 1 });
                }
            }
            if rng.random_bool(0.05) {
                let at = rng.random_range(1..main + 2);
                index.compact_slice(at, b"", 10);
                compact(&mut list, at);
            }
            check(&index, &key, &list, main);
        }
    }
}

fn compact(list: &mut Vec<Change>, at: i64) {
    let older = list.iter().filter(|change| change.revision.main <= at).count();
    if let Some(newest) = older.checked_sub(1) {
        let keep = !list[newest].is_tombstone() || list[newest].revision.main == at;
        list.drain(..if keep { newest } else { older });
        // A tombstone alone no longer tells when its generation began.
        if let Some(first) = list.first_mut().filter(|first| first.is_tombstone()) {
            first.created = first.revision.main;
        }
    }
}

fn check(index: &Index, key: &[u8], list: &[Change], main: i64) {
    let Some(entry) = index.get(key) else {
        assert!(list.is_empty());
        return;
    };
    let mut changes: Vec<Change> = entry.changes().collect();
    if let Some(first) = changes.first_mut().filter(|first| first.is_tombstone()) {
        first.created = first.revision.main;
    }
    assert_eq!(changes, list);
    for at in [0, main / 3, main / 2, main - 1, main, main + 1] {
        let expected = list.iter().rfind(|change| change.revision.main <= at);
        assert_eq!(entry.change_at(at).map(|c| c.revision), expected.map(|c| c.revision));
        assert_eq!(entry.meta_at(at).map(|m| m.version), expected.map(|c| c.version).filter(|v| *v > 0));
    }
}

#[test]
fn a_plain_key_takes_little_memory() {
    let entry = Entry::new(b"/registry/pods/0001", put(1_000_000, 1_000_000, 1));
    assert!(entry.heap_bytes() <= 16 + 1 + 19 + 1 + 4, "{}", entry.heap_bytes());
}

#[test]
fn changes_that_no_etcd_writes_are_held_too() {
    let mut index = Index::default();
    index.load(b"", put(i64::MAX - 1, 0, 1));
    index.load(b"", put(i64::MAX, 5, 1));
    index.load(b"k", put(4, 9, 7));
    index.load(b"k", put(9, 1, 3));
    assert_eq!(index.get(b"").unwrap().changes().collect::<Vec<_>>(), [put(i64::MAX - 1, 0, 1), put(i64::MAX, 5, 1)]);
    assert_eq!(index.get(b"k").unwrap().changes().collect::<Vec<_>>(), [put(4, 9, 7), put(9, 1, 3)]);
}
