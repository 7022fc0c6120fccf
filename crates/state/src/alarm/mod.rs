//! Alarms: raised and cleared by entries, kept in bucket `alarm`.

mod apply;

use std::collections::BTreeSet;

use proto::etcdserverpb::{AlarmMember, AlarmType};

/// The alarms that are on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alarms {
    /// (type, member)
    on: BTreeSet<(i32, u64)>,
}

impl Alarms {
    /// The alarms of a type, or all for `NONE` (0), by type and member.
    pub fn of_type(&self, alarm: i32) -> Vec<AlarmMember> {
        let wanted = |t: i32| alarm == AlarmType::None as i32 || alarm == t;
        self.on.iter().filter(|(t, _)| wanted(*t)).map(|&(alarm, member_id)| AlarmMember { member_id, alarm }).collect()
    }

    /// All alarms.
    pub fn all(&self) -> Vec<AlarmMember> {
        self.of_type(AlarmType::None as i32)
    }

    /// Whether any member has raised this.
    pub fn is_on(&self, alarm: AlarmType) -> bool {
        self.on.iter().any(|(t, _)| *t == alarm as i32)
    }

    /// Whether none is on.
    pub fn is_empty(&self) -> bool {
        self.on.is_empty()
    }

    /// False where it was on already.
    pub(crate) fn raise(&mut self, alarm: AlarmMember) -> bool {
        self.on.insert((alarm.alarm, alarm.member_id))
    }

    /// False where it was not on.
    pub(crate) fn clear(&mut self, alarm: AlarmMember) -> bool {
        self.on.remove(&(alarm.alarm, alarm.member_id))
    }
}
