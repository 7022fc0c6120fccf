//! Entries: a [`V2Request`] by its method.

use std::sync::Arc;

use proto::etcdserverpb::V2Request;

use super::error::V2Error;
use super::event::Event;
use super::ops::{DeleteScope, Expected, Ttl};
use super::path::clean;
use super::view::Listing;
use super::{CLUSTER_PREFIX, Tree};
use crate::members::{Attributes, parse_id};
use crate::versions::Version;

/// The result of an entry that was not refused.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// What a change or a read answers.
    Event(Arc<Event>),
    /// SYNC: what has ended.
    Expired(Vec<Arc<Event>>),
    /// A member told its name and client URLs. The tree has them; the caller's tables are to follow.
    MemberAttributes { id: u64, attributes: Attributes },
    /// The cluster version was set. The tree has it; the caller's tables are to follow.
    ClusterVersion(Version),
    /// The entry has no effect: attributes of an unknown member, or a value that cannot be read.
    Ignored,
    /// A method that no release writes: `etcdserver: unknown method`.
    UnknownMethod,
}

/// Whether an unconditional PUT on this path tells attributes of a member or the cluster version.
pub fn is_member_or_version_path(path: &str) -> bool {
    attributes_owner(path).is_some() || path == version_path()
}

impl Tree {
    /// Applies the request of an entry.
    pub fn apply(&mut self, r: &V2Request) -> Result<Reply, V2Error> {
        let expected = Expected { value: &r.prev_value, index: r.prev_index };
        let conditional = r.prev_index > 0 || !r.prev_value.is_empty();
        let ttl = ttl(r);
        let event = match r.method.as_str() {
            "POST" => self.create_in_order(&r.path, r.dir, &r.val, ttl),
            "PUT" => match r.prev_exist {
                Some(false) => self.create(&r.path, r.dir, &r.val, ttl),
                Some(true) if !conditional => self.update(&r.path, &r.val, ttl),
                _ if conditional => self.compare_and_swap(&r.path, expected, &r.val, ttl),
                _ => return self.put_plain(r, ttl),
            },
            "DELETE" if conditional => self.compare_and_delete(&r.path, expected),
            "DELETE" => self.delete(&r.path, DeleteScope { dir: r.dir, recursive: r.recursive }),
            "QGET" => {
                let listing = Listing { recursive: r.recursive };
                self.view.get(&r.path, listing, self.clock).map(Arc::new)
            }
            "SYNC" => return Ok(Reply::Expired(self.expire(r.time))),
            _ => return Ok(Reply::UnknownMethod),
        };
        event.map(Reply::Event)
    }

    fn put_plain(&mut self, r: &V2Request, ttl: Ttl) -> Result<Reply, V2Error> {
        if let Some(id) = attributes_owner(&r.path) {
            let Ok(attributes) = Attributes::from_json(r.val.as_bytes()) else {
                return Ok(Reply::Ignored);
            };
            return Ok(match self.set_member_attributes(id, &attributes) {
                true => Reply::MemberAttributes { id, attributes },
                false => Reply::Ignored,
            });
        }
        if r.path == version_path() {
            let Ok(version) = r.val.parse() else {
                return Ok(Reply::Ignored);
            };
            self.set_cluster_version(version);
            return Ok(Reply::ClusterVersion(version));
        }
        self.set(&r.path, r.dir, &r.val, ttl).map(Reply::Event)
    }
}

fn ttl(r: &V2Request) -> Ttl {
    Ttl { expires: (r.expiration != 0).then_some(r.expiration), refresh: r.refresh.unwrap_or(false) }
}

fn version_path() -> String {
    format!("{CLUSTER_PREFIX}/version")
}

/// The member whose attributes are at this path.
fn attributes_owner(path: &str) -> Option<u64> {
    let path = clean(path);
    let id = path.strip_prefix(CLUSTER_PREFIX)?.strip_prefix("/members/")?.strip_suffix("/attributes")?;
    if id.bytes().all(|b| b.is_ascii_hexdigit()) { parse_id(id) } else { None }
}
