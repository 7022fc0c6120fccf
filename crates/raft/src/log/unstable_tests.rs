use super::*;
use proto::raftpb::SnapshotMetadata;

fn entry(term: u64, index: u64) -> Entry {
    Entry { term, index, ..Default::default() }
}

fn entries(term: u64, range: Range<u64>) -> Vec<Entry> {
    range.map(|index| entry(term, index)).collect()
}

fn id(term: u64, index: u64) -> EntryId {
    EntryId { term, index }
}

fn snapshot(term: u64, index: u64) -> Snapshot {
    let metadata = SnapshotMetadata { index, term, ..Default::default() };
    Snapshot { metadata: Some(metadata), ..Default::default() }
}

/// Entries 5 to 9 of term 1, of which 5 and 6 are in progress.
fn sample() -> Unstable {
    let mut unstable = Unstable::new(5);
    unstable.truncate_and_append(entries(1, 5..7));
    unstable.accept_in_progress();
    unstable.truncate_and_append(entries(1, 7..10));
    unstable
}

fn indexes(entries: &[Entry]) -> Vec<(u64, u64)> {
    entries.iter().map(|entry| (entry.term, entry.index)).collect()
}

#[test]
fn hands_out_each_entry_once() {
    let mut unstable = sample();
    assert_eq!(indexes(&unstable.next_entries()), [(1, 7), (1, 8), (1, 9)]);
    unstable.accept_in_progress();
    assert!(!unstable.has_next_entries());
    assert!(unstable.next_entries().is_empty());
    assert_eq!(unstable.last_index(), Some(9));
}

#[test]
fn what_is_stable_is_let_go() {
    let mut unstable = sample();
    unstable.stable_to(id(1, 6));
    assert_eq!((unstable.offset(), unstable.offset_in_progress), (7, 7));
    assert_eq!(unstable.term(6), None);
    // Also what is acknowledged before it was handed out, as a new configuration of the storage may do.
    unstable.stable_to(id(1, 8));
    assert_eq!(indexes(&unstable.next_entries()), [(1, 9)]);
}

#[test]
fn acknowledgements_of_something_else_are_ignored() {
    let mut unstable = sample();
    for other in [id(2, 6), id(1, 4), id(1, 10), id(1, u64::MAX)] {
        unstable.stable_to(other);
        assert_eq!((unstable.offset(), unstable.last_index()), (5, Some(9)), "{other:?}");
    }
}

#[test]
fn replaced_entries_are_handed_out_again() {
    let mut unstable = sample();
    unstable.truncate_and_append(vec![entry(2, 6)]);
    assert_eq!(indexes(&unstable.slice(5..7, u64::MAX)), [(1, 5), (2, 6)]);
    assert_eq!(indexes(&unstable.next_entries()), [(2, 6)]);
    // The acknowledgement of the entry that was replaced comes late.
    unstable.stable_to(id(1, 6));
    assert_eq!(unstable.offset(), 5);

    // From before the unstable entries on: the durable ones are replaced as well.
    unstable.truncate_and_append(entries(3, 3..5));
    assert_eq!((unstable.offset(), unstable.last_index()), (3, Some(4)));
    assert_eq!(indexes(&unstable.next_entries()), [(3, 3), (3, 4)]);
}

#[test]
#[should_panic(expected = "a gap in the log")]
fn gaps_are_refused() {
    sample().truncate_and_append(vec![entry(1, 11)]);
}

#[test]
fn a_snapshot_replaces_everything() {
    let mut unstable = sample();
    unstable.restore(snapshot(2, 20));
    assert_eq!((unstable.offset(), unstable.last_index(), unstable.term(20)), (21, Some(20), Some(2)));
    assert!(unstable.is_empty() && unstable.next_snapshot().is_some());
    unstable.truncate_and_append(vec![entry(2, 21)]);
    unstable.accept_in_progress();
    assert!(unstable.next_snapshot().is_none() && unstable.snapshot().is_some());

    unstable.stable_snapshot_to(19);
    assert!(unstable.snapshot().is_some());
    unstable.stable_snapshot_to(20);
    assert!(unstable.snapshot().is_none());
    assert_eq!(unstable.term(20), None);
}
