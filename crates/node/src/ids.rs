//! Identities: of members and clusters from URLs and token, of requests from a counter (facts: peer-protocol, 5 and 7).

use std::sync::atomic::{AtomicU64, Ordering};

use sha1::{Digest, Sha1};

/// The id of a member: the first 8 bytes, big-endian, of SHA-1 over its peer URLs, sorted and joined without separator,
/// the cluster token and, for a member added later (then with an empty token), the unix time in decimal.
pub fn member_id(peer_urls: &[String], token: &str, added_at_unix_secs: Option<i64>) -> u64 {
    let mut urls: Vec<&str> = peer_urls.iter().map(String::as_str).collect();
    urls.sort_unstable();
    let mut hash = Sha1::new();
    for url in urls {
        hash.update(url.as_bytes());
    }
    hash.update(token.as_bytes());
    if let Some(secs) = added_at_unix_secs {
        hash.update(secs.to_string().as_bytes());
    }
    first_eight(&hash.finalize())
}

/// The id of a cluster: the same over the ids of its first members, ascending, each as big-endian u64.
pub fn cluster_id(member_ids: &[u64]) -> u64 {
    let mut ids = member_ids.to_vec();
    ids.sort_unstable();
    let mut hash = Sha1::new();
    for id in ids {
        hash.update(id.to_be_bytes());
    }
    first_eight(&hash.finalize())
}

fn first_eight(digest: &[u8]) -> u64 {
    digest.iter().take(8).fold(0, |id, byte| (id << 8) | u64::from(*byte))
}

/// Makes the ids by which requests and their answers find each other. Shared by all who propose on this member.
///
/// High 16 bits: the low 16 bits of the member id. Low 48 bits: a counter that starts at the milliseconds since 1970
/// at start (40 bits of them) times 256, so that the ids of a restarted member do not meet those of its former life.
#[derive(Debug)]
pub struct RequestIds {
    prefix: u64,
    start: u64,
    counter: AtomicU64,
}

const COUNTER_BITS: u32 = 48;
const COUNTER_MASK: u64 = (1 << COUNTER_BITS) - 1;

impl RequestIds {
    /// `unix_millis` is the wall clock at the start of the process.
    pub fn new(member_id: u64, unix_millis: u64) -> Self {
        let start = (unix_millis & ((1 << 40) - 1)) << 8;
        Self { prefix: (member_id & 0xffff) << COUNTER_BITS, start, counter: AtomicU64::new(start) }
    }

    /// Whether the id was made here, since the start of the process: only then can anybody here wait for it.
    pub fn is_own(&self, id: u64) -> bool {
        id & !COUNTER_MASK == self.prefix && id & COUNTER_MASK > self.start
    }

    /// The next id; never 0.
    pub fn next(&self) -> u64 {
        let count = self.counter.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let id = self.prefix | (count & COUNTER_MASK);
        if id == 0 { self.next() } else { id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The transcripts' member: etcd's default URL and token give the well-known id of a default single member.
    #[test]
    fn default_member_has_its_well_known_id() {
        let id = member_id(&["http://localhost:2380".into()], "etcd-cluster", None);
        assert_eq!(format!("{id:x}"), "8e9e05c52164694d");
        assert_eq!(format!("{:x}", cluster_id(&[id])), "cdf818194e3a8c32");
    }

    #[test]
    fn urls_are_sorted() {
        let ab = member_id(&["http://a:1".into(), "http://b:1".into()], "t", None);
        let ba = member_id(&["http://b:1".into(), "http://a:1".into()], "t", None);
        assert_eq!(ab, ba);
        assert_ne!(ab, member_id(&["http://a:1".into()], "t", None));
        assert_ne!(member_id(&["http://a:1".into()], "", Some(1)), member_id(&["http://a:1".into()], "", Some(2)));
    }

    #[test]
    fn request_ids_carry_member_and_time() {
        let ids = RequestIds::new(0xabcd_1234, 0x01_0203_0405);
        assert_eq!(ids.next(), (0x1234 << 48) | ((0x01_0203_0405 << 8) + 1));
        let id = ids.next();
        assert_eq!(id & 0xff, 2);
        assert!(ids.is_own(id));
        assert!(!RequestIds::new(0xabcd_1234, 0x01_0203_0406).is_own(id), "of a former life");
        assert!(!RequestIds::new(0xabcd_1235, 0).is_own(id), "of another member");
    }
}
