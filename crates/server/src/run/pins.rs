//! Answers that hold a view of the store for longer than a moment: they are known here, limited in number and age, and let go
//! of their view when their client takes nothing for too long (design: views live for bounded time).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Snapshots that may be sent at the same time.
const SNAPSHOTS_MAX: usize = 8;
/// For so long a client may take nothing of its answer.
pub const IDLE_MAX: Duration = Duration::from_secs(30);
/// How often the answers are looked at.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);

/// All answers that hold a view.
pub struct Pins {
    open: Mutex<Open>,
    snapshots: Arc<Semaphore>,
}

#[derive(Default)]
struct Open {
    next: u64,
    answers: BTreeMap<u64, Arc<dyn Expire>>,
}

/// One answer as the overseer sees it.
trait Expire: Send + Sync {
    /// When it began; `None` where it holds no view any more.
    fn held_since(&self) -> Option<Instant>;
    /// Lets go of the view where it was held for too long.
    fn look(&self, now: Instant);
}

/// What an answer reads from, with its view. It is taken out while it is read, on whatever thread does that, and put back
/// while the client takes what was read.
pub struct Pinned<T: Send + 'static> {
    cell: Arc<Cell<T>>,
    pins: Arc<Pins>,
    number: u64,
}

struct Cell<T> {
    began: Instant,
    age_max: Duration,
    state: Mutex<State<T>>,
}

enum State<T> {
    /// Since then the client has been taking what it was given.
    Lying(Instant, T),
    Taken,
    Cut,
}

impl Default for Pins {
    fn default() -> Pins {
        Pins { open: Mutex::default(), snapshots: Arc::new(Semaphore::new(SNAPSHOTS_MAX)) }
    }
}

impl Pins {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps `source` for an answer that may take `age_max` in all.
    pub fn hold<T: Send + 'static>(self: &Arc<Self>, source: T, age_max: Duration) -> Pinned<T> {
        let began = Instant::now();
        let cell = Arc::new(Cell { began, age_max, state: Mutex::new(State::Lying(began, source)) });
        let mut open = self.open();
        open.next += 1;
        let number = open.next;
        open.answers.insert(number, cell.clone());
        Pinned { cell, pins: self.clone(), number }
    }

    /// The right to send one more snapshot; `None` where as many as may be are being sent.
    pub fn snapshot(&self) -> Option<OwnedSemaphorePermit> {
        self.snapshots.clone().try_acquire_owned().ok()
    }

    /// The age of the oldest view held.
    pub fn oldest(&self) -> Duration {
        let open = self.open();
        let held = open.answers.values().filter_map(|answer| answer.held_since());
        held.min().map(|since| since.elapsed()).unwrap_or_default()
    }

    /// Cuts the answers that were held for too long.
    pub fn look(&self, now: Instant) {
        let answers: Vec<Arc<dyn Expire>> = self.open().answers.values().cloned().collect();
        answers.iter().for_each(|answer| answer.look(now));
    }
}

impl<T: Send + 'static> Pinned<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.cell.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the source out to read from it; `None` where the answer was cut.
    pub fn take(&self) -> Option<T> {
        let mut state = self.state();
        match std::mem::replace(&mut *state, State::Taken) {
            State::Lying(_, source) => Some(source),
            State::Taken => None,
            State::Cut => {
                *state = State::Cut;
                None
            }
        }
    }

    /// Puts the source back, unless its time is over.
    pub fn put_back(&self, source: T) {
        let now = Instant::now();
        let over = now.duration_since(self.cell.began) > self.cell.age_max;
        *self.state() = if over { State::Cut } else { State::Lying(now, source) };
    }
}

impl<T: Send + 'static> Drop for Pinned<T> {
    fn drop(&mut self) {
        drop(self.pins.open().answers.remove(&self.number));
    }
}

impl<T: Send> Expire for Cell<T> {
    fn held_since(&self) -> Option<Instant> {
        match *self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Lying(..) | State::Taken => Some(self.began),
            State::Cut => None,
        }
    }

    fn look(&self, now: Instant) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State::Lying(since, _) = &*state else { return };
        let idle = now.duration_since(*since) > IDLE_MAX;
        if idle || now.duration_since(self.began) > self.age_max {
            // The view is let go outside the lock.
            let cut = std::mem::replace(&mut *state, State::Cut);
            drop(state);
            drop(cut);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn an_answer_that_nobody_takes_lets_go() {
        let pins = Arc::new(Pins::default());
        let source = Arc::new(());
        let answer = pins.hold(source.clone(), MINUTE * 10);
        pins.look(Instant::now());
        assert_eq!(Arc::strong_count(&source), 2);
        let taken = answer.take().expect("it lies there");
        pins.look(Instant::now() + IDLE_MAX * 2);
        answer.put_back(taken);
        assert_eq!(Arc::strong_count(&source), 2, "while it is read it is not cut");
        pins.look(Instant::now() + IDLE_MAX * 2);
        assert_eq!(Arc::strong_count(&source), 1);
        assert_eq!(pins.oldest(), Duration::ZERO, "it holds nothing any more");
        assert!(answer.take().is_none());
        assert!(answer.take().is_none());
    }

    #[test]
    fn an_answer_has_its_time_and_ends_with_its_owner() {
        let pins = Arc::new(Pins::default());
        let first = pins.hold((), Duration::ZERO);
        first.take().expect("it lies there");
        std::thread::sleep(Duration::from_millis(1));
        assert!(pins.oldest() > Duration::ZERO);
        first.put_back(());
        assert!(first.take().is_none(), "its time is over");
        drop((first, pins.hold((), MINUTE)));
        assert_eq!(pins.oldest(), Duration::ZERO);
    }

    #[test]
    fn snapshots_are_limited_in_number() {
        let pins = Pins::default();
        let held: Vec<_> = std::iter::from_fn(|| pins.snapshot()).take(100).collect();
        assert_eq!(held.len(), SNAPSHOTS_MAX);
        drop(held);
        assert!(pins.snapshot().is_some());
    }
}
