//! What clients saw. Every answer names a revision, and revisions order the changes; so the history is linearizable if
//! each answer agrees with the model at its revision, and revisions never contradict real time: whatever began after
//! an answer sees that answer's revision, and a write that began after it comes behind it.

use bytes::Bytes;
use proto::etcdserverpb::RangeRequest;
use proto::mvccpb::KeyValue;

use crate::model::Model;

/// A request under way.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The highest revision in any answer before the request began.
    floor: i64,
}

/// An answer that promises something.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A read, of the header's revision or an older one; only a serializable one may be stale.
    Range { request: RangeRequest, kvs: Vec<KeyValue>, revision: i64 },
    /// A put or the success of a transaction with one.
    Put { key: Bytes, value: Bytes, revision: i64 },
    /// A deletion, of one key that existed or not.
    Delete { key: Bytes, deleted: i64, revision: i64 },
    /// A transaction whose comparison with `seen` failed, and what it found instead.
    Refused { key: Bytes, seen: i64, found: Vec<KeyValue>, revision: i64 },
}

/// All that was answered so far.
#[derive(Debug, Default)]
pub struct History {
    highest: i64,
    pub writes: u64,
    pub reads: u64,
}

impl History {
    pub fn invoke(&self) -> Invocation {
        Invocation { floor: self.highest }
    }

    /// Judges an answer that has just arrived.
    pub fn answer(&mut self, invocation: &Invocation, answer: &Answer, model: &Model) {
        let mut floor = invocation.floor;
        let (revision, wrote) = match answer {
            Answer::Range { request, kvs, revision } => {
                let at = if request.revision > 0 { request.revision } else { *revision };
                assert!(at <= *revision, "a read at {at} under a header of {revision}");
                check_range(request, kvs, at, model);
                if request.serializable {
                    floor = 0;
                }
                (*revision, false)
            }
            Answer::Put { key, value, revision } => {
                let found = model.changes_at(*revision).iter().any(|c| c.key == key && c.value.as_ref() == Some(value));
                assert!(found, "lost write: put {key:?}={value:?} was acknowledged at revision {revision}");
                (*revision, true)
            }
            Answer::Delete { key, deleted, revision } => {
                let found = model.changes_at(*revision).iter().any(|c| c.key == key && c.value.is_none());
                assert!(*deleted == 0 || found, "lost write: deletion of {key:?} was acknowledged at {revision}");
                assert!(*deleted > 0 || model.mod_revision(key, *revision) == 0, "{key:?} exists at {revision}");
                (*revision, *deleted > 0)
            }
            Answer::Refused { key, seen, found, revision } => {
                let request = RangeRequest { key: key.clone(), ..RangeRequest::default() };
                check_range(&request, found, *revision, model);
                let there = model.mod_revision(key, *revision);
                assert_ne!(there, *seen, "a comparison failed that holds at revision {revision}");
                (*revision, false)
            }
        };
        assert!(
            revision >= floor,
            "stale: answered at revision {revision}, {floor} was seen before the request: {answer:?}"
        );
        assert!(!wrote || revision > floor, "a write at revision {revision} began after {floor} was seen: {answer:?}");
        assert!(revision <= model.revision, "revision {revision} is ahead of what is committed, {}", model.revision);
        self.highest = self.highest.max(revision);
        if wrote {
            self.writes += 1;
        } else {
            self.reads += 1;
        }
    }
}

fn check_range(request: &RangeRequest, kvs: &[KeyValue], revision: i64, model: &Model) {
    let expected = model.range(request, revision);
    let got: Vec<_> = kvs
        .iter()
        .map(|kv| (kv.key.clone(), kv.mod_revision, kv.value.clone(), kv.create_revision, kv.version))
        .collect();
    let expected: Vec<_> = expected
        .into_iter()
        .map(|(key, v)| (key, v.revision, v.value.unwrap_or_default(), v.create, v.version))
        .collect();
    assert_eq!(got, expected, "range {:?} at revision {revision} (left: answered, right: ought to be)", request.key);
}
