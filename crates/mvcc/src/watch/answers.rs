//! The events of one watcher, made into answers: whole revisions, bounded size, fragments where they are allowed.

use super::encode::Encoder;
use super::hub::HubConfig;
use super::output::{Output, OutputKind};
use super::publish::Hit;

/// Bytes of `WatchResponse.fragment` when set.
const FRAGMENT_FLAG: usize = 2;

/// Answers under way for one watcher.
pub(super) struct Answers<'a> {
    pub(super) config: &'a HubConfig,
    pub(super) watch_id: i64,
    pub(super) prev_kv: bool,
    pub(super) fragment: bool,
    /// What the header says; without it, the revision of the answer's last event.
    pub(super) revision: Option<i64>,
    pub(super) outputs: Vec<Output>,
}

impl Answers<'_> {
    /// Adds answers that carry these events in this order.
    pub(super) fn build(&mut self, share: &[Hit], encoder: &mut Encoder<'_>) -> crate::Result<()> {
        let mut rest = share;
        while !rest.is_empty() {
            let (count, events_len) = self.whole_revisions(rest, encoder)?;
            let (answer, later) = rest.split_at(count);
            rest = later;
            let newest = answer.last().map_or(0, |(_, number)| encoder.event(*number).revision.main);
            let revision = self.revision.unwrap_or(newest);
            let output = Output { events_len, ..Output::control(OutputKind::Events, self.watch_id, revision) };
            if self.fragment && answer.len() > 1 && output.encoded_len() >= self.config.fragment_bytes {
                self.split(output, answer, encoder)?;
            } else {
                self.add(output, answer, encoder)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, output: Output, events: &[Hit], encoder: &mut Encoder<'_>) -> crate::Result<()> {
        let events = Some(encoder.chunk(events, self.prev_kv)?);
        self.outputs.push(Output { events, ..output });
        Ok(())
    }

    // How many of the events go into one answer, and their bytes.
    fn whole_revisions(&self, events: &[Hit], encoder: &mut Encoder<'_>) -> crate::Result<(usize, usize)> {
        let (mut len, mut revision) = (0, 0);
        for (count, (_, number)) in events.iter().enumerate() {
            let own = encoder.event(*number).revision.main;
            if own != revision && len >= self.config.response_bytes {
                return Ok((count, len));
            }
            revision = own;
            len += encoder.one(*number, self.prev_kv)?.len();
        }
        Ok((events.len(), len))
    }

    fn split(&mut self, whole: Output, events: &[Hit], encoder: &mut Encoder<'_>) -> crate::Result<()> {
        let head = whole.encoded_len() - whole.events_len + FRAGMENT_FLAG;
        let mut rest = events;
        while !rest.is_empty() {
            let (mut count, mut events_len) = (0, 0);
            for (_, number) in rest {
                let own = encoder.one(*number, self.prev_kv)?.len();
                if count > 0 && head + events_len + own >= self.config.fragment_bytes {
                    break;
                }
                count += 1;
                events_len += own;
            }
            let (part, later) = rest.split_at(count);
            rest = later;
            let mut output = Output { events_len, ..whole.clone() };
            output.head.fragment = !rest.is_empty();
            self.add(output, part, encoder)?;
        }
        Ok(())
    }
}
