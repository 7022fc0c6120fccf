use super::*;
use crate::storage::MemoryStorage;
use proto::raftpb::SnapshotMetadata;

fn entry(term: u64, index: u64) -> Entry {
    Entry { term, index, data: "0123456789".into(), ..Default::default() }
}

fn id(term: u64, index: u64) -> EntryId {
    EntryId { term, index }
}

fn snapshot(term: u64, index: u64) -> Snapshot {
    let metadata = SnapshotMetadata { index, term, ..Default::default() };
    Snapshot { metadata: Some(metadata), ..Default::default() }
}

/// A snapshot at 3, durable entries 4 to 6 of terms 1 1 2, unstable entries 7 and 8 of terms 2 3.
fn sample(applying_bytes_max: u64) -> RaftLog<MemoryStorage> {
    let mut storage = MemoryStorage::new();
    storage.apply_snapshot(snapshot(1, 3)).unwrap();
    storage.append(&[entry(1, 4), entry(1, 5), entry(2, 6)]).unwrap();
    let mut log = RaftLog::new(storage, applying_bytes_max);
    log.append(vec![entry(2, 7), entry(3, 8)]);
    log
}

fn indexes(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.index).collect()
}

#[test]
fn knows_its_bounds_and_terms() {
    let log = sample(u64::MAX);
    assert_eq!((log.first_index(), log.last_index(), log.committed(), log.applied()), (4, 8, 3, 3));
    let terms: Vec<_> = (2..10).map(|index| log.term(index)).collect();
    let (compacted, beyond) = (Err(StorageError::Compacted), Err(StorageError::Unavailable));
    assert_eq!(terms, [compacted, Ok(1), Ok(1), Ok(1), Ok(2), Ok(2), Ok(3), beyond]);
}

#[test]
fn reads_across_the_border_of_what_is_durable() {
    let log = sample(u64::MAX);
    let size = encoded_sizes(&[entry(1, 4)]);
    assert_eq!(indexes(&log.entries_from(4, u64::MAX).unwrap()), [4, 5, 6, 7, 8]);
    for (from, limit, expected) in [
        (4, 0, vec![4]),
        (4, 2 * size, vec![4, 5]),
        (4, 3 * size, vec![4, 5, 6]),
        (4, 4 * size - 1, vec![4, 5, 6]),
        (4, 4 * size, vec![4, 5, 6, 7]),
        (7, 0, vec![7]),
        (9, 0, vec![]),
    ] {
        assert_eq!(indexes(&log.entries_from(from, limit).unwrap()), expected, "{from} {limit}");
    }
    assert_eq!(log.entries_from(3, 0), Err(StorageError::Compacted));
}

#[test]
fn a_log_is_up_to_date_by_term_then_length() {
    let log = sample(u64::MAX);
    for (other, expected) in
        [(id(3, 8), true), (id(3, 9), true), (id(4, 1), true), (id(3, 7), false), (id(2, 99), false)]
    {
        assert_eq!(log.is_up_to_date(other), expected, "{other:?}");
    }
}

#[test]
fn appends_what_is_new() {
    let mut log = sample(u64::MAX);
    assert_eq!(log.maybe_append(id(3, 7), vec![entry(3, 8)], 8), Ok(None));
    assert_eq!(log.maybe_append(id(3, 9), vec![], 8), Ok(None));
    assert_eq!(log.committed(), 3);
    // All known: nothing is cut off, and the commit index moves only as far as is proven equal.
    assert_eq!(log.maybe_append(id(1, 4), vec![entry(1, 5)], 8), Ok(Some(5)));
    assert_eq!((log.committed(), log.last_index()), (5, 8));
    // A conflict within the durable part.
    assert_eq!(log.maybe_append(id(1, 5), vec![entry(4, 6), entry(4, 7)], 6), Ok(Some(7)));
    assert_eq!((log.committed(), log.last_index(), log.term(6)), (6, 7, Ok(4)));
    assert_eq!(indexes(&log.next_unstable_entries()), [6, 7]);
}

#[test]
#[should_panic(expected = "entry 5 is committed")]
fn never_replaces_what_is_committed() {
    let mut log = sample(u64::MAX);
    log.commit_to(5).unwrap();
    log.append(vec![entry(9, 5)]);
}

#[test]
fn commits_forward_within_the_log() {
    let mut log = sample(u64::MAX);
    assert_eq!(log.commit_to(9), Err(Error::CommitOutOfRange { commit: 9, last_index: 8 }));
    log.commit_to(5).unwrap();
    log.commit_to(4).unwrap();
    assert_eq!(log.committed(), 5);
    assert!(!log.maybe_commit(id(3, 7)), "of another term");
    assert!(!log.maybe_commit(id(0, 6)));
    assert!(log.maybe_commit(id(3, 8)));
    assert!(!log.maybe_commit(id(3, 8)));
}

#[test]
fn searches_the_conflict_by_term() {
    let log = sample(u64::MAX);
    for (index, term, expected) in [
        (8, 3, (8, 3)),
        (8, 2, (7, 2)),
        (8, 1, (5, 1)),
        (6, 9, (6, 2)),
        (8, 0, (2, 0)), // the entries that could tell are compacted
        (99, 3, (99, 0)),
        (0, 3, (0, 0)),
    ] {
        assert_eq!(log.find_conflict_by_term(index, term), expected, "{index} {term}");
    }
}

#[test]
fn hands_out_committed_entries_within_the_budget() {
    let size = encoded_sizes(&[entry(1, 4)]);
    let mut log = sample(2 * size);
    log.commit_to(8).unwrap();
    let first = log.next_committed(Appliable::Unstable);
    assert_eq!(indexes(&first), [4, 5]);
    log.accept_applying(&first, Appliable::Unstable);
    assert!(!log.has_next_committed(Appliable::Unstable));
    log.applied_to(4, size);
    let second = log.next_committed(Appliable::Unstable);
    assert_eq!(indexes(&second), [6]);
    log.accept_applying(&second, Appliable::Unstable);
    assert!(!log.has_next_committed(Appliable::Unstable));
    log.applied_to(6, 2 * size);
    assert_eq!(indexes(&log.next_committed(Appliable::Unstable)), [7, 8]);
}

#[test]
fn what_is_not_durable_is_not_applied_where_that_is_asked() {
    let mut log = sample(u64::MAX);
    log.commit_to(8).unwrap();
    assert_eq!(indexes(&log.next_committed(Appliable::Durable)), [4, 5, 6]);
    log.storage.append(&[entry(2, 7), entry(3, 8)]).unwrap();
    log.stable_to(id(3, 8));
    assert_eq!(indexes(&log.next_committed(Appliable::Durable)), [4, 5, 6, 7, 8]);
}

#[test]
fn entries_behind_a_snapshot_wait_for_it() {
    let mut log = sample(u64::MAX);
    log.restore(snapshot(4, 20));
    assert_eq!((log.first_index(), log.last_index(), log.committed()), (21, 20, 20));
    assert_eq!(log.term(20), Ok(4));
    assert_eq!(log.snapshot(), Ok(snapshot(4, 20)));
    log.append(vec![entry(4, 21)]);
    log.commit_to(21).unwrap();
    assert!(!log.has_next_committed(Appliable::Unstable));
    log.storage.apply_snapshot(snapshot(4, 20)).unwrap();
    log.stable_snapshot_to(20);
    log.applied_to(20, 0);
    assert_eq!(indexes(&log.next_committed(Appliable::Unstable)), [21]);
}

#[test]
fn looks_through_all_that_is_not_applied() {
    let mut log = sample(1);
    log.commit_to(8).unwrap();
    assert!(log.any_unapplied(|entry| entry.index == 8));
    assert!(!log.any_unapplied(|entry| entry.index == 9));
    log.applied_to(8, 0);
    assert!(!log.any_unapplied(|_| true));
}
