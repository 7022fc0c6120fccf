//! A run: requests one by one to every server, watches beside them, and the verdict.

use super::differences;
use super::generate::{Generator, Op, STREAMS};
use super::normalise::Answer;
use super::target::Target;
use super::watches::{Delivered, Stream, covers, passes};
use proto::etcdserverpb::{RangeRequest, WatchCreateRequest};
use proto::mvccpb::Event;
use std::collections::BTreeMap;

type Failure = Box<dyn std::error::Error>;

/// A server to compare.
pub struct Side {
    pub name: String,
    pub url: String,
}

/// One watch that all servers opened alike.
struct Opened {
    stream: usize,
    id: i64,
    create: WatchCreateRequest,
    /// The first revision it sees.
    from: i64,
}

struct Run {
    targets: Vec<Target>,
    /// For each server the streams of random watches.
    streams: Vec<Vec<Stream>>,
    /// For each server one watch of everything, from the beginning.
    whole: Vec<Stream>,
    opened: Vec<Opened>,
    generator: Generator,
    explained: BTreeMap<&'static str, usize>,
    wrong: Vec<String>,
}

/// Sends `count` requests from `seed` to all sides and compares each with the last one, which is ours. Prints the verdict; true
/// when every difference is explained.
pub async fn run(sides: &[Side], seed: u64, count: usize) -> Result<bool, Failure> {
    let mut run = Run::start(sides, seed).await?;
    for step in 0..count {
        let op = run.generator.next_op();
        run.step(step, op).await?;
        if run.wrong.len() >= 20 {
            println!("stopped after {step} requests: too many differences");
            break;
        }
        if step % 2000 == 1999 {
            println!("{} requests, revision {}, {} watches", step + 1, run.generator.current, run.opened.len());
        }
    }
    run.compare_watches().await?;
    run.verdict(seed, count)
}

impl Run {
    async fn start(sides: &[Side], seed: u64) -> Result<Run, Failure> {
        let (mut targets, mut streams, mut whole) = (Vec::new(), Vec::new(), Vec::new());
        for side in sides {
            let target = Target::connect(&side.name, side.url.clone()).await?;
            let mut all = Stream::open(&target);
            let create =
                WatchCreateRequest { range_end: "\0".into(), start_revision: 1, prev_kv: true, ..Default::default() };
            all.create(create).await?;
            whole.push(all);
            let mut own = Vec::new();
            for _ in 0..STREAMS {
                own.push(Stream::open(&target));
            }
            streams.push(own);
            targets.push(target);
        }
        let generator = Generator::new(seed);
        Ok(Run { targets, streams, whole, opened: vec![], generator, explained: BTreeMap::new(), wrong: vec![] })
    }

    async fn step(&mut self, step: usize, op: Op) -> Result<(), Failure> {
        match op {
            Op::Watch { stream, create } => self.open_watch(step, stream, create).await,
            Op::CancelWatch { stream, id } => self.cancel_watch(stream, id).await,
            Op::Compact(request) => {
                self.settle().await?;
                self.request(step, Op::Compact(request)).await
            }
            other => self.request(step, other).await,
        }
    }

    async fn request(&mut self, step: usize, op: Op) -> Result<(), Failure> {
        let mut answers = Vec::new();
        for target in &self.targets {
            answers.push(target.send(op.clone()).await);
        }
        let ours = answers.pop().ok_or("no server to compare")?;
        for (place, reference) in answers.iter().enumerate() {
            if reference.answer != ours.answer {
                self.differs(step, &op, place, &reference.answer, &ours.answer);
            }
        }
        if let Some(revision) = ours.revision {
            self.generator.current = self.generator.current.max(revision);
            if let (Op::Compact(request), Answer::Ok(_)) = (&op, &ours.answer) {
                self.generator.compacted = request.revision;
            }
        }
        Ok(())
    }

    fn differs(&mut self, step: usize, op: &Op, place: usize, reference: &Answer, ours: &Answer) {
        let name = self.targets[place].name.clone();
        match differences::explain(op, reference, ours) {
            Some(difference) => *self.explained.entry(difference.name).or_default() += 1,
            None => {
                println!("step {step}: {op:?}\n  {name}: {reference:?}\n  ours: {ours:?}");
                self.wrong.push(format!("step {step} against {name}"));
            }
        }
    }

    async fn open_watch(&mut self, step: usize, stream: usize, create: WatchCreateRequest) -> Result<(), Failure> {
        let mut answers = Vec::new();
        for streams in &mut self.streams {
            answers.push(streams[stream].create(create.clone()).await?);
        }
        let Some((id, ours)) = answers.last().cloned() else { return Ok(()) };
        let refused = id < 0;
        for (target, (_, text)) in self.targets.iter().zip(&answers) {
            // A refused watch has the id -1 from 3.4.22 and 3.5.6 on; the reason is compared, the id is not.
            let same = if refused { reason(text) == reason(&ours) } else { *text == ours };
            if !same {
                println!("step {step}: watch {create:?}\n  {}: {text}\n  ours: {ours}", target.name);
                self.wrong.push(format!("watch at step {step} against {}", target.name));
            }
        }
        if refused || self.opened.iter().any(|o| o.stream == stream && o.id == id) {
            return Ok(());
        }
        let from = if create.start_revision == 0 { self.generator.current + 1 } else { create.start_revision };
        if from < self.generator.compacted {
            for streams in &mut self.streams {
                streams[stream].ended(id).await?;
            }
        }
        self.opened.push(Opened { stream, id, create, from });
        Ok(())
    }

    async fn cancel_watch(&mut self, stream: usize, id: i64) -> Result<(), Failure> {
        let Some(place) = self.opened.iter().position(|o| o.stream == stream && o.id == id) else { return Ok(()) };
        self.settle().await?;
        self.compare_watch(place);
        for streams in &mut self.streams {
            streams[stream].cancel(id).await?;
            streams[stream].delivered.remove(&id);
        }
        self.opened.remove(place);
        Ok(())
    }

    /// Waits until every watch of every server has delivered what it must have up to the current revision.
    async fn settle(&mut self) -> Result<(), Failure> {
        self.learn_revision().await?;
        for whole in &mut self.whole {
            while last_revision(whole) < self.generator.current {
                let next = whole.delivered.values().map(|d| d.events.len()).sum::<usize>() + 1;
                whole.settle(0, next).await?;
            }
        }
        let Some(events) = self.whole.last().and_then(|w| w.delivered.get(&0)).map(|d| d.events.clone()) else {
            return Ok(());
        };
        for opened in &self.opened {
            let due = events.iter().filter(|event| opened.sees(event)).count();
            for streams in &mut self.streams {
                streams[opened.stream].settle(opened.id, due).await?;
            }
        }
        Ok(())
    }

    async fn learn_revision(&mut self) -> Result<(), Failure> {
        let target = self.targets.last().ok_or("no server to compare")?;
        let got = target.send(Op::Range(RangeRequest { key: "revision".into(), ..Default::default() })).await;
        self.generator.current = got.revision.ok_or("the server does not answer a range")?;
        Ok(())
    }

    fn compare_watch(&mut self, place: usize) {
        let opened = &self.opened[place];
        let delivered: Vec<_> = self.streams.iter().map(|s| s[opened.stream].delivered.get(&opened.id)).collect();
        let Some(ours) = delivered.last().copied() else { return };
        for (target, reference) in self.targets.iter().zip(&delivered) {
            if reference.zip(ours).is_some_and(|(reference, ours)| opened.was_overtaken(reference, ours)) {
                *self.explained.entry(OVERTAKEN).or_default() += 1;
            } else if *reference != ours {
                let note = format!("watch {} of stream {} against {}", opened.id, opened.stream, target.name);
                println!("{note}: {:?}\n  {}: {reference:?}\n  ours: {ours:?}", opened.create, target.name);
                self.wrong.push(note);
            }
        }
    }

    async fn compare_watches(&mut self) -> Result<(), Failure> {
        self.settle().await?;
        for place in 0..self.opened.len() {
            self.compare_watch(place);
        }
        let whole: Vec<_> = self.whole.iter().map(|w| w.delivered.get(&0)).collect();
        let ours = whole.last().copied().flatten();
        for (target, reference) in self.targets.iter().zip(&whole) {
            if *reference != ours {
                self.wrong.push(format!("the watch of everything against {}", target.name));
            }
        }
        println!("{} events, {} watches compared", ours.map_or(0, |d| d.events.len()), self.opened.len());
        Ok(())
    }

    fn verdict(&self, seed: u64, count: usize) -> Result<bool, Failure> {
        for difference in differences::LIST {
            let times = self.explained.get(difference.name).copied().unwrap_or_default();
            println!("deliberate difference {}: {times} times ({})", difference.name, difference.reason);
        }
        let overtaken = self.explained.get(OVERTAKEN).copied().unwrap_or_default();
        println!(
            "deliberate difference {OVERTAKEN}: {overtaken} times (a compaction ends watches that still read what it removes)"
        );
        for wrong in &self.wrong {
            println!("DIFFERENT: {wrong}");
        }
        println!(
            "differential: seed {seed}, {count} requests to {} servers, {} unexplained differences",
            self.targets.len(),
            self.wrong.len()
        );
        Ok(self.wrong.is_empty())
    }
}

/// Counted beside the list of differences between answers.
const OVERTAKEN: &str = "watch-overtaken-by-compaction";

impl Opened {
    /// Whether the reference was still reading history for this watch when a compaction passed it, and ended it for that. When
    /// it reads is a matter of its clock; ours had read already.
    fn was_overtaken(&self, reference: &Delivered, ours: &Delivered) -> bool {
        let compacted = reference.cancelled.as_ref().map_or(0, |(revision, _)| *revision);
        compacted > self.from && ours.cancelled.is_none() && ours.events.starts_with(&reference.events)
    }

    fn sees(&self, event: &Event) -> bool {
        let Some(kv) = &event.kv else { return false };
        kv.mod_revision >= self.from && covers(&self.create, &kv.key) && passes(&self.create, event)
    }
}

fn last_revision(stream: &Stream) -> i64 {
    let last = stream.delivered.get(&0).and_then(|d| d.events.last());
    last.and_then(|event| event.kv.as_ref()).map_or(1, |kv| kv.mod_revision)
}

/// The part of a description of a refused watch that all releases share.
fn reason(text: &str) -> &str {
    text.split_once("cancelled").map_or(text, |(_, rest)| rest)
}
