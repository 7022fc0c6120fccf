//! The call Downgrade: brings the cluster down by one minor version, or says whether it could (facts: errors, 9).

use crate::metrics::Op;
use crate::run::front::{Failure, Front};
use proto::errors::ClientError;
use proto::etcdserverpb::downgrade_request::DowngradeAction;
use proto::etcdserverpb::{DowngradeRequest, DowngradeResponse};
use proto::membershippb::DowngradeInfoSetRequest;
use state::Version;
use state::versions::parse_target;

/// Serves one call whose caller may ask it.
pub async fn answer(front: &Front, request: &DowngradeRequest) -> Result<DowngradeResponse, Failure> {
    let cluster = match DowngradeAction::try_from(request.action) {
        Ok(DowngradeAction::Validate) => validate(front, &request.version).await?.cluster,
        Ok(DowngradeAction::Enable) => {
            let Plan { cluster, target } = validate(front, &request.version).await?;
            propose(front, DowngradeInfoSetRequest { enabled: true, ver: target.to_string() }).await?;
            cluster
        }
        Ok(DowngradeAction::Cancel) => cancel(front).await?,
        Err(_) => return Err(ClientError::UnknownMethod.into()),
    };
    let view = front.view();
    let header = Some(front.header(&view, view.kv().revision()));
    // Up to 3.5 the patch number was told.
    let version = match front.shared.version < Version::V3_6 {
        true => cluster.to_string(),
        false => format!("{}.{}", cluster.major, cluster.minor),
    };
    Ok(DowngradeResponse { header, version })
}

/// What is possible: the cluster version, and the one that is wanted.
struct Plan {
    cluster: Version,
    target: Version,
}

async fn validate(front: &Front, wanted: &str) -> Result<Plan, Failure> {
    let target = parse_target(wanted)?;
    front.view().versions().cluster.ok_or(ClientError::ClusterVersionUnavailable)?;
    front.read_index().await?;
    let cluster = front.view().versions().check_downgrade(target)?;
    Ok(Plan { cluster, target })
}

async fn cancel(front: &Front) -> Result<Version, Failure> {
    front.read_index().await?;
    let versions = front.view().versions();
    let cluster = versions.cluster.ok_or(ClientError::ClusterVersionUnavailable)?;
    if versions.check_cancel(front.shared.version)? {
        propose(front, DowngradeInfoSetRequest { enabled: false, ver: String::new() }).await?;
    }
    Ok(cluster)
}

async fn propose(front: &Front, request: DowngradeInfoSetRequest) -> Result<(), Failure> {
    front.propose(Op::DowngradeInfoSet, |entry| entry.downgrade_info_set = Some(request)).await.map(|_| ())
}
