//! Heartbeats of a leader that leave late: its peers may take it for gone (facts: observability, 1.1).

use crate::logging;
use proto::raftpb::{Message, MessageType};
use std::collections::BTreeMap;
use std::time::Duration;

/// When heartbeats left last, for each peer.
pub struct Pulse {
    interval: Duration,
    last: BTreeMap<u64, Duration>,
}

impl Pulse {
    pub fn new(interval: Duration) -> Pulse {
        Pulse { interval, last: BTreeMap::new() }
    }

    /// Another term or role: what came before is no measure.
    pub fn restart(&mut self) {
        self.last.clear();
    }

    /// These leave now. Gives how many heartbeats among them are late, and says so.
    pub fn leave(&mut self, messages: &[Message], now: Duration) -> u64 {
        let mut late = 0;
        for message in messages.iter().filter(|message| message.msg_type == MessageType::MsgHeartbeat as i32) {
            let Some(last) = self.last.insert(message.to, now) else { continue };
            let expected = self.interval * 2;
            let exceeded = now.saturating_sub(last).saturating_sub(expected);
            if !exceeded.is_zero() {
                late += 1;
                self.tell(message.to, expected, exceeded);
            }
        }
        late
    }

    fn tell(&self, to: u64, expected: Duration, exceeded: Duration) {
        let fields = [
            ("to", format!("{to:x}").into()),
            ("heartbeat-interval", self.interval.into()),
            ("expected-duration", expected.into()),
            ("exceeded-duration", exceeded.into()),
        ];
        let message =
            "leader failed to send out heartbeat on time; took too long, leader is overloaded likely from slow disk";
        logging::warn(message, &fields);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_is_late_after_twice_its_interval() {
        let ms = Duration::from_millis;
        let to = |to, kind: MessageType| Message { to, msg_type: kind as i32, ..Default::default() };
        let (beat, other) = (to(2, MessageType::MsgHeartbeat), to(2, MessageType::MsgApp));
        let mut pulse = Pulse::new(ms(100));
        assert_eq!(pulse.leave(&[beat.clone(), to(3, MessageType::MsgHeartbeat)], ms(1000)), 0, "the first is not");
        assert_eq!(pulse.leave(std::slice::from_ref(&beat), ms(1200)), 0);
        assert_eq!(pulse.leave(std::slice::from_ref(&other), ms(1300)), 0, "only heartbeats count");
        assert_eq!(pulse.leave(&[beat.clone(), to(3, MessageType::MsgHeartbeat)], ms(1401)), 2);
        pulse.restart();
        assert_eq!(pulse.leave(&[beat], ms(9000)), 0, "another leadership");
    }
}
