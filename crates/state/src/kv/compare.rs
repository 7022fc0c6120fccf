//! Compares of a transaction.

use std::cmp::Ordering;

use proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use proto::etcdserverpb::{self as pb};
use proto::mvccpb::KeyValue;

use super::Source;
use crate::error::Result;

/// Whether all compares hold in the source's current revision.
pub fn holds(source: &(impl Source + ?Sized), compares: &[pb::Compare]) -> Result<bool> {
    for compare in compares {
        if !one_holds(source, compare)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A key that is absent compares as zeros, except that no value compares with its absent value. A range must hold for
/// every key; an empty one is like an absent key.
fn one_holds(source: &(impl Source + ?Sized), compare: &pb::Compare) -> Result<bool> {
    let by_value = compare.target == CompareTarget::Value as i32;
    let needs_pair = by_value || compare.target == CompareTarget::Lease as i32;
    let (mut empty, mut holds) = (true, true);
    let at = source.revision();
    source.visit(&compare.key, &compare.range_end, at, needs_pair, &mut |kv| {
        empty = false;
        holds = matches(compare, &kv);
        holds
    })?;
    if empty {
        return Ok(!by_value && matches(compare, &KeyValue::default()));
    }
    Ok(holds)
}

fn matches(compare: &pb::Compare, kv: &KeyValue) -> bool {
    let ordering = ordering(compare, kv);
    match CompareResult::try_from(compare.result) {
        Ok(CompareResult::Equal) => ordering == Ordering::Equal,
        Ok(CompareResult::NotEqual) => ordering != Ordering::Equal,
        Ok(CompareResult::Greater) => ordering == Ordering::Greater,
        Ok(CompareResult::Less) => ordering == Ordering::Less,
        // An operator that no release knows holds.
        Err(_) => true,
    }
}

/// The pair against the operand. An operand of another kind than the target counts as zero; a target that no release
/// knows is always equal.
fn ordering(compare: &pb::Compare, kv: &KeyValue) -> Ordering {
    use TargetUnion as T;
    let operand = compare.target_union.as_ref();
    match CompareTarget::try_from(compare.target) {
        Ok(CompareTarget::Version) => kv.version.cmp(match operand {
            Some(T::Version(v)) => v,
            _ => &0,
        }),
        Ok(CompareTarget::Create) => kv.create_revision.cmp(match operand {
            Some(T::CreateRevision(v)) => v,
            _ => &0,
        }),
        Ok(CompareTarget::Mod) => kv.mod_revision.cmp(match operand {
            Some(T::ModRevision(v)) => v,
            _ => &0,
        }),
        Ok(CompareTarget::Lease) => kv.lease.cmp(match operand {
            Some(T::Lease(v)) => v,
            _ => &0,
        }),
        Ok(CompareTarget::Value) => match operand {
            Some(T::Value(v)) => kv.value.cmp(v),
            _ => kv.value.as_ref().cmp(b""),
        },
        Err(_) => Ordering::Equal,
    }
}
