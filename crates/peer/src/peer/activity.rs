//! Whether a peer is connected: while a stream in either direction is open, or, without any, while posts arrive.

use std::time::Instant;

/// The two kinds of streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamKind {
    /// msgappv2: appends only.
    Append,
    /// Everything else.
    Message,
}

/// Which way a stream runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    In,
    Out,
}

/// What is open.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    /// In/append, in/message, out/append, out/message.
    streams: [bool; 4],
    posted: bool,
    since: Option<Instant>,
}

/// The peer became connected, or is so no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Connected,
    Lost,
}

impl Activity {
    pub fn since(&self) -> Option<Instant> {
        self.since
    }

    /// A stream was opened or ended.
    pub fn stream(&mut self, way: Way, kind: StreamKind, open: bool) -> Option<Change> {
        let place = usize::from(way == Way::Out) * 2 + usize::from(kind == StreamKind::Message);
        self.streams[place] = open;
        // A post of long ago says nothing once the streams are gone.
        self.posted &= open;
        self.judge()
    }

    /// A post arrived, or did not.
    pub fn post(&mut self, arrived: bool) -> Option<Change> {
        self.posted = arrived;
        self.judge()
    }

    /// Nothing is open any more.
    pub fn end(&mut self) -> Option<Change> {
        self.streams = [false; 4];
        self.posted = false;
        self.judge()
    }

    fn judge(&mut self) -> Option<Change> {
        let active = self.posted || self.streams.contains(&true);
        match (self.since.is_some(), active) {
            (false, true) => {
                self.since = Some(Instant::now());
                Some(Change::Connected)
            }
            (true, false) => {
                self.since = None;
                Some(Change::Lost)
            }
            (true, true) | (false, false) => None,
        }
    }
}

impl StreamKind {
    pub const BOTH: [StreamKind; 2] = [StreamKind::Append, StreamKind::Message];

    /// As paths name it.
    pub fn path(self) -> &'static str {
        match self {
            StreamKind::Append => "msgapp",
            StreamKind::Message => "message",
        }
    }

    /// As etcd's log lines name it.
    pub fn name(self) -> &'static str {
        match self {
            StreamKind::Append => "stream MsgApp v2",
            StreamKind::Message => "stream Message",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_connected_while_anything_is_open() {
        let mut activity = Activity::default();
        assert_eq!(activity.stream(Way::In, StreamKind::Append, true), Some(Change::Connected));
        let since = activity.since().unwrap();
        assert_eq!(activity.stream(Way::Out, StreamKind::Append, true), None);
        assert_eq!(activity.stream(Way::In, StreamKind::Append, false), None);
        assert_eq!(activity.post(false), None);
        assert_eq!(activity.since(), Some(since));
        assert_eq!(activity.post(true), None);
        assert_eq!(activity.stream(Way::Out, StreamKind::Append, false), Some(Change::Lost));
        assert_eq!(activity.post(true), Some(Change::Connected));
        assert_eq!(activity.post(false), Some(Change::Lost));
    }
}
