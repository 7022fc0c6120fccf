//! Alarm requests at apply (facts: errors, 9).

use std::sync::Arc;

use proto::etcdserverpb::alarm_request::AlarmAction;
use proto::etcdserverpb::{self as pb, AlarmType};

use crate::applied::{Effect, Outcome};
use crate::apply::{Run, store};

impl Run<'_, '_> {
    /// An action that no release knows makes the original crash; here it does nothing.
    pub(crate) fn alarm(&mut self, r: pb::AlarmRequest) -> Outcome {
        let alarms = match AlarmAction::try_from(r.action) {
            Ok(AlarmAction::Get) => self.live.alarms.of_type(r.alarm),
            Ok(AlarmAction::Activate) if r.alarm != AlarmType::None as i32 => self.raise_alarm(r),
            Ok(AlarmAction::Deactivate) => self.clear_alarm(r),
            Ok(AlarmAction::Activate) | Err(_) => Vec::new(),
        };
        Outcome::Alarm(pb::AlarmResponse { header: Some(self.header()), alarms })
    }

    fn raise_alarm(&mut self, r: pb::AlarmRequest) -> Vec<pb::AlarmMember> {
        let alarm = pb::AlarmMember { member_id: r.member_id, alarm: r.alarm };
        if Arc::make_mut(&mut self.live.alarms).raise(alarm) {
            store::write_alarm(self.txn, alarm);
            self.effects.push(Effect::AlarmsChanged);
        }
        vec![alarm]
    }

    fn clear_alarm(&mut self, r: pb::AlarmRequest) -> Vec<pb::AlarmMember> {
        let alarm = pb::AlarmMember { member_id: r.member_id, alarm: r.alarm };
        if !Arc::make_mut(&mut self.live.alarms).clear(alarm) {
            return Vec::new();
        }
        store::erase_alarm(self.txn, alarm);
        self.effects.push(Effect::AlarmsChanged);
        vec![alarm]
    }
}
