//! Conf changes in either of their two forms.

use bytes::Bytes;
use prost::Message as _;
use proto::raftpb::{ConfChange, ConfChangeSingle, ConfChangeV2, Entry, EntryType};

use crate::error::ConfChangeError;

/// A conf change as it is proposed and applied: the old form adds or removes one member, the new one several.
#[derive(Clone, Debug, PartialEq)]
pub enum AnyConfChange {
    V1(ConfChange),
    V2(ConfChangeV2),
}

impl From<ConfChange> for AnyConfChange {
    fn from(change: ConfChange) -> Self {
        Self::V1(change)
    }
}

impl From<ConfChangeV2> for AnyConfChange {
    fn from(change: ConfChangeV2) -> Self {
        Self::V2(change)
    }
}

impl AnyConfChange {
    /// Reads the conf change out of an entry; `None` where the entry is none. Empty bytes are an empty change.
    pub fn from_entry(entry: &Entry) -> Result<Option<Self>, ConfChangeError> {
        let malformed = |_| ConfChangeError::Malformed;
        match EntryType::try_from(entry.entry_type) {
            Ok(EntryType::EntryConfChange) => {
                Ok(Some(Self::V1(ConfChange::decode(entry.data.clone()).map_err(malformed)?)))
            }
            Ok(EntryType::EntryConfChangeV2) => {
                Ok(Some(Self::V2(ConfChangeV2::decode(entry.data.clone()).map_err(malformed)?)))
            }
            Ok(EntryType::EntryNormal) | Err(_) => Ok(None),
        }
    }

    /// The entry that carries it, without term and index.
    pub fn to_entry(&self) -> Entry {
        let (entry_type, data) = match self {
            Self::V1(change) => (EntryType::EntryConfChange, change.encode_to_vec()),
            Self::V2(change) => (EntryType::EntryConfChangeV2, change.encode_to_vec()),
        };
        Entry { entry_type: entry_type as i32, data: Bytes::from(data), ..Default::default() }
    }

    /// The same change in the new form.
    pub fn into_v2(self) -> ConfChangeV2 {
        match self {
            Self::V1(change) => ConfChangeV2 {
                changes: vec![ConfChangeSingle { change_type: change.change_type, node_id: change.node_id }],
                context: change.context,
                ..Default::default()
            },
            Self::V2(change) => change,
        }
    }
}
