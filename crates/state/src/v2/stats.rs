//! Counters of operations, kept with the tree: `GET /v2/stats/store` and the `Stats` of a snapshot.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::json_out::Writer;

macro_rules! stats {
    ($($field:ident = $json:literal;)*) => {
        /// How many operations succeeded and failed, as etcd counts them.
        #[derive(Clone, Debug, Default)]
        #[allow(missing_docs, reason = "the names say it")]
        pub struct Stats { $(pub $field: u64,)* reads: Arc<Reads> }

        impl Stats {
            /// The counter of this JSON name; reads are not among them.
            pub(super) fn counter(&mut self, name: &str) -> Option<&mut u64> {
                match name { $($json => Some(&mut self.$field),)* _ => None }
            }

            fn changes(&self) -> [(&'static str, u64); [$($json),*].len()] {
                [$(($json, self.$field)),*]
            }
        }
    };
}

stats! {
    sets_success = "setsSuccess";
    sets_fail = "setsFail";
    delete_success = "deleteSuccess";
    delete_fail = "deleteFail";
    update_success = "updateSuccess";
    update_fail = "updateFail";
    create_success = "createSuccess";
    create_fail = "createFail";
    compare_and_swap_success = "compareAndSwapSuccess";
    compare_and_swap_fail = "compareAndSwapFail";
    compare_and_delete_success = "compareAndDeleteSuccess";
    compare_and_delete_fail = "compareAndDeleteFail";
    expire_count = "expireCount";
}

/// Counts one more. A forged snapshot may have any number.
pub(super) fn count(counter: &mut u64) {
    *counter = counter.wrapping_add(1);
}

/// Reads are counted on whichever thread reads, for all copies of the tree together.
#[derive(Debug, Default)]
struct Reads {
    success: AtomicU64,
    fail: AtomicU64,
}

impl Stats {
    /// Reads that found their node.
    pub fn gets_success(&self) -> u64 {
        self.reads.success.load(Relaxed)
    }

    /// Reads that did not.
    pub fn gets_fail(&self) -> u64 {
        self.reads.fail.load(Relaxed)
    }

    pub(super) fn count_get(&self, success: bool) {
        if success { &self.reads.success } else { &self.reads.fail }.fetch_add(1, Relaxed);
    }

    pub(super) fn set_gets(&mut self, success: u64, fail: u64) {
        self.reads = Arc::new(Reads { success: success.into(), fail: fail.into() });
    }

    pub(super) fn write(&self, w: &mut Writer, watchers: u64) {
        let reads = [("getsSuccess", self.gets_success()), ("getsFail", self.gets_fail())];
        let mut comma = "{\"";
        for (name, value) in reads.into_iter().chain(self.changes()).chain([("watchers", watchers)]) {
            w.raw(comma);
            w.raw(name);
            w.raw("\":");
            w.number(value);
            comma = ",\"";
        }
        w.raw("}");
    }
}
