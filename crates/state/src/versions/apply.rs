//! Cluster version and downgrade job at apply.

use super::{Downgrade, Version};
use crate::applied::Effect;
use crate::apply::{Run, store};
use crate::error::{Error, Result};
use crate::live::Live;

/// A version set by an entry that the backend has already: the tree, and the version that the tree is the authority for.
/// A text that is no version, which no release proposes, changes nothing.
pub(crate) fn replay_cluster_version(live: &mut Live, own: Version, text: &str) -> Result<()> {
    let Ok(version) = text.parse::<Version>() else {
        return Ok(());
    };
    live.tree.set_cluster_version(version);
    if live.source.is_tree() {
        check_own(Some(version), own)?;
        live.versions.cluster = Some(version);
    }
    Ok(())
}

/// A member below the cluster version must not take part.
pub(crate) fn check_own(cluster: Option<Version>, own: Version) -> Result<()> {
    match cluster {
        Some(cluster) if cluster.minor_line() > own.minor_line() => Err(Error::ClusterTooNew { cluster, own }),
        Some(_) | None => Ok(()),
    }
}

impl Run<'_, '_> {
    pub(crate) fn set_cluster_version(&mut self, text: &str) -> Result<()> {
        let Ok(version) = text.parse::<Version>() else {
            return Ok(());
        };
        self.live.tree.set_cluster_version(version);
        self.record_cluster_version(version)
    }

    /// Takes up a version that the tree has.
    pub(crate) fn record_cluster_version(&mut self, to: Version) -> Result<()> {
        check_own(Some(to), self.rules.release)?;
        let from = self.live.versions.cluster.replace(to);
        store::write_cluster_version(self.txn, to);
        self.effects.push(Effect::ClusterVersionChanged { from, to });
        Ok(())
    }

    pub(crate) fn set_downgrade(&mut self, enabled: bool, target: &str) {
        let downgrade = Downgrade::set(enabled, target);
        self.live.versions.downgrade = downgrade;
        store::write_downgrade(self.txn, downgrade);
        self.effects.push(Effect::DowngradeChanged);
    }
}
