//! Compares of a transaction.

use std::cmp::Ordering;

use mvcc::{Image, KeysOnly, RangeQuery};
use proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use proto::etcdserverpb::{self as pb};
use proto::mvccpb::KeyValue;

use crate::error::Result;

/// Whether all compares hold at this moment.
pub fn holds(image: &Image, compares: &[pb::Compare]) -> Result<bool> {
    for compare in compares {
        if !one_holds(image, compare)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A key that is absent compares as zeros, except that no value compares with its absent value. A range must hold for
/// every key; an empty one is like an absent key.
fn one_holds(image: &Image, compare: &pb::Compare) -> Result<bool> {
    let by_value = compare.target == CompareTarget::Value as i32;
    let absent = || !by_value && matches(compare, &KeyValue::default());
    let needs_record = by_value || compare.target == CompareTarget::Lease as i32;
    if compare.range_end.is_empty() && !needs_record {
        return Ok(image.key_meta(&compare.key).map_or_else(absent, |meta| {
            let kv = KeyValue {
                create_revision: meta.create_revision,
                mod_revision: meta.mod_revision(),
                version: meta.version,
                ..KeyValue::default()
            };
            matches(compare, &kv)
        }));
    }
    if compare.range_end.is_empty() {
        return Ok(image.get_kv(&compare.key, 0)?.map_or_else(absent, |kv| matches(compare, &kv)));
    }
    let mut range = image.range(&RangeQuery {
        key: compare.key.clone(),
        range_end: compare.range_end.clone(),
        keys_only: if needs_record { KeysOnly::No } else { KeysOnly::FromIndex },
        ..RangeQuery::default()
    })?;
    let mut empty = true;
    while let Some(kv) = range.next_kv()? {
        if !matches(compare, &kv) {
            return Ok(false);
        }
        empty = false;
    }
    Ok(!empty || absent())
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
