//! One connection for each endpoint, kept up by a task of its own, and the choice among them.
//!
//! Calls are spread over the live connections in turn. A call waits while none is live; it never waits for a dead
//! endpoint when another lives.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tonic::transport::{Channel, Endpoint};

use crate::config::{Config, uri};
use crate::error::{Error, dial_text};

const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(3);

/// The state of one endpoint's connection.
enum Link {
    Connecting,
    Live(Channel),
    /// The last attempt failed with this text; another follows.
    Failed(String),
}

struct Slot {
    name: String,
    link: Mutex<Link>,
    /// The connection was found broken: connect anew.
    broken: Notify,
}

/// What the connecting tasks share with the pool.
struct Shared {
    slots: Vec<Slot>,
    /// Some link changed.
    changed: Notify,
}

/// A live connection and where it leads.
pub(crate) struct Connection {
    pub channel: Channel,
    slot: usize,
}

pub(crate) struct Pool {
    shared: Arc<Shared>,
    endpoints: Vec<Endpoint>,
    cursor: AtomicUsize,
    tasks: Mutex<Vec<AbortHandle>>,
}

impl Pool {
    /// Checks the endpoints; connects to none yet.
    pub fn new(config: &Config) -> Result<Pool, Error> {
        if config.endpoints.is_empty() {
            return Err(Error::NoEndpoints);
        }
        let endpoints = config.endpoints.iter().map(|name| endpoint(name, config)).collect::<Result<_, _>>()?;
        let slots = config.endpoints.iter().map(|name| Slot {
            name: name.clone(),
            link: Mutex::new(Link::Connecting),
            broken: Notify::new(),
        });
        let shared = Arc::new(Shared { slots: slots.collect(), changed: Notify::new() });
        Ok(Pool { shared, endpoints, cursor: AtomicUsize::new(0), tasks: Mutex::default() })
    }

    pub fn len(&self) -> usize {
        self.shared.slots.len()
    }

    pub fn name(&self, connection: &Connection) -> &str {
        &self.shared.slots[connection.slot].name
    }

    pub fn first_name(&self) -> &str {
        &self.shared.slots[0].name
    }

    /// The next live connection; waits until there is one.
    pub async fn pick(&self) -> Connection {
        self.start();
        loop {
            let changed = self.shared.changed.notified();
            if let Some(connection) = self.try_pick() {
                return connection;
            }
            changed.await;
        }
    }

    fn try_pick(&self) -> Option<Connection> {
        let slots = &self.shared.slots;
        let from = self.cursor.fetch_add(1, Ordering::Relaxed);
        (0..slots.len()).map(|step| (from + step) % slots.len()).find_map(|slot| match &*lock(&slots[slot].link) {
            Link::Live(channel) => Some(Connection { channel: channel.clone(), slot }),
            Link::Connecting | Link::Failed(_) => None,
        })
    }

    /// The connection failed under a call: it is not picked again before it was made anew.
    pub fn report_broken(&self, connection: &Connection) {
        let slot = &self.shared.slots[connection.slot];
        *lock(&slot.link) = Link::Connecting;
        slot.broken.notify_one();
    }

    /// Why there is no live connection.
    pub fn last_failure(&self) -> Option<String> {
        self.shared.slots.iter().find_map(|slot| match &*lock(&slot.link) {
            Link::Failed(text) => Some(format!("connection error: desc = \"{text}\"")),
            Link::Connecting | Link::Live(_) => None,
        })
    }

    fn start(&self) {
        let mut tasks = lock(&self.tasks);
        if tasks.is_empty() {
            for (slot, endpoint) in self.endpoints.iter().enumerate() {
                let task = tokio::spawn(keep_connected(self.shared.clone(), slot, endpoint.clone()));
                tasks.push(task.abort_handle());
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for task in lock(&self.tasks).iter() {
            task.abort();
        }
    }
}

async fn keep_connected(shared: Arc<Shared>, slot: usize, endpoint: Endpoint) {
    let own = &shared.slots[slot];
    let mut backoff = BACKOFF_MIN;
    loop {
        match endpoint.connect().await {
            Ok(channel) => {
                backoff = BACKOFF_MIN;
                *lock(&own.link) = Link::Live(channel);
                shared.changed.notify_waiters();
                own.broken.notified().await;
            }
            Err(error) => {
                let address = endpoint.uri().authority().map_or("", |authority| authority.as_str());
                *lock(&own.link) = Link::Failed(dial_text(address, &error));
                shared.changed.notify_waiters();
                tokio::time::sleep(backoff).await;
                backoff = (backoff * 2).min(BACKOFF_MAX);
            }
        }
    }
}

fn endpoint(name: &str, config: &Config) -> Result<Endpoint, Error> {
    let bad = |error: tonic::transport::Error| Error::BadEndpoint(format!("parse \"{name}\": {error}"));
    let endpoint = Endpoint::from_shared(uri(name)?).map_err(bad)?;
    Ok(endpoint
        .connect_timeout(config.dial_timeout)
        .http2_keep_alive_interval(config.keepalive_time)
        .keep_alive_timeout(config.keepalive_timeout)
        .tcp_nodelay(true))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing panics while it holds one of these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
