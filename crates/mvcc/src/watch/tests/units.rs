//! What scripts cannot say.

use std::time::Duration;

use super::world::{World, create, put};
use crate::watch::{HubConfig, OutputKind};

#[test]
fn events_are_shared_between_watchers() {
    let mut world = World::new(HubConfig::default());
    let (s, t) = (world.open(), world.open());
    world.hub.create(s, &create("a", "", 0), 1);
    world.hub.create(t, &create("a", "b", 0), 1);
    world.apply(&[put("a", "1")]);
    world.publish();
    world.feed();
    let mut bytes = [s, t].map(|stream| {
        assert_eq!(world.hub.next_output(stream).unwrap().kind(), OutputKind::Created);
        let output = world.hub.next_output(stream).unwrap();
        output.events.unwrap().parts()[0].clone()
    });
    assert_eq!(bytes[0].as_ptr(), bytes[1].as_ptr());
    bytes[1] = bytes[1].slice(1..);
}

#[test]
fn a_laggard_does_not_hold_up_those_who_are_nearly_there() {
    let config = HubConfig { slice_revisions: 10, ..HubConfig::default() };
    let mut world = World::new(config);
    for i in 0..1000 {
        world.apply(&[put("a", &i.to_string())]);
    }
    world.publish();
    world.feed();
    let stream = world.open();
    for _ in 0..5 {
        world.hub.create(stream, &create("a", "", 2), 1001);
    }
    world.hub.create(stream, &create("b", "", 1000), 1001);
    world.sync();
    world.sync();
    assert_eq!(world.hub.stats().slow_watchers, 5);
    // Those who stand together share their slices.
    for _ in 2..101 {
        world.sync();
    }
    assert!(!world.hub.needs_sync());
    assert_eq!(world.hub.stats().pending_events, 5000);
}

#[test]
fn a_stream_is_named_once_until_it_is_emptied() {
    let mut world = World::new(HubConfig::default());
    let stream = world.open();
    world.hub.create(stream, &create("a", "", 0), 1);
    world.hub.create(stream, &create("a", "", 0), 1);
    assert_eq!(world.hub.take_ready(), [stream]);
    world.hub.create(stream, &create("a", "", 0), 1);
    assert!(world.hub.take_ready().is_empty());
    assert_eq!(world.drain(stream).len(), 3);
    world.hub.create(stream, &create("a", "", 0), 1);
    assert_eq!(world.hub.take_ready(), [stream]);
    world.hub.close_stream(stream);
    assert!(world.hub.next_output(stream).is_none());
    assert_eq!(world.hub.stats(), crate::watch::HubStats::default());
}

#[test]
fn ticks_are_known_ahead() {
    let mut world = World::new(HubConfig::default());
    assert_eq!(world.hub.next_tick(), None);
    let secs = Duration::from_secs;
    let stream = world.hub.open_stream(secs(5), secs(10));
    world.hub.open_stream(secs(7), secs(10));
    assert_eq!(world.hub.next_tick(), Some(secs(15)));
    world.hub.tick(secs(16));
    assert_eq!(world.hub.next_tick(), Some(secs(17)));
    world.hub.close_stream(stream);
    world.hub.tick(secs(17));
    assert_eq!(world.hub.next_tick(), Some(secs(27)));
}

#[test]
fn requests_on_a_closed_stream_do_nothing() {
    let mut world = World::new(HubConfig::default());
    let stream = world.open();
    world.hub.close_stream(stream);
    world.hub.create(stream, &create("a", "", 0), 1);
    world.hub.cancel(stream, 0, 1);
    world.hub.request_progress(stream, 5);
    world.apply(&[put("a", "1")]);
    world.publish();
    world.feed();
    assert!(world.hub.take_ready().is_empty());
}

#[test]
fn a_hundred_thousand_watchers_come_and_go() {
    let mut world = World::new(HubConfig::default());
    let stream = world.open();
    for i in 0..100_000 {
        let key = format!("{i:06}");
        let end = if i % 2 == 0 { format!("{key}~") } else { String::new() };
        world.hub.create(stream, &create(&key, &end, 0), 1);
    }
    while world.hub.next_output(stream).is_some() {}
    world.apply(&[put("050000", "x"), put("050001", "x"), put("1", "x")]);
    world.publish();
    world.feed();
    assert_eq!(world.drain(stream).len(), 2);
    world.hub.close_stream(stream);
    assert_eq!(world.hub.stats().watchers, 0);
}
