//! A TCP proxy that holds bytes back: one before the peer port of each member, in the member's namespace, so that it
//! sees who connects. It runs as a process of its own and learns the delays, one for each sender, on standard input.

use super::Failure;
use super::member::Site;
use std::collections::BTreeMap;
use std::io::Write;
use std::net::IpAddr;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Parts of a connection that may be under way in each direction; the sender waits when there are more.
const PARTS_MAX: usize = 256;
const PART_BYTES: usize = 32 * 1024;

/// The running proxy of one member; killed when dropped.
#[derive(Debug)]
pub struct Proxy(Child);

impl Proxy {
    /// Starts this very program again, as `PROGRAM --proxy LISTEN TARGET`, which has to call [`serve`].
    pub fn start(site: &Site) -> Result<Proxy, Failure> {
        let program = std::env::current_exe()?;
        let (listen, target) = (site.advertised_port, site.peer_port);
        let child = site
            .command(&program)
            .args(["--proxy", &format!("{}:{listen}", site.host), &format!("{}:{target}", site.host)])
            .stdin(Stdio::piped())
            .spawn()?;
        Ok(Proxy(child))
    }

    /// Holds all bytes from and to this address back for so long, in each direction.
    pub fn delay(&mut self, from: &str, delay: Duration) -> Result<(), Failure> {
        let input = self.0.stdin.as_mut().ok_or("the proxy has no input")?;
        Ok(writeln!(input, "{from} {}", delay.as_millis())?)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Both fail only when it has ended already, which is what is wanted.
        let _killed = self.0.kill();
        let _waited = self.0.wait();
    }
}

type Delays = Arc<Mutex<BTreeMap<IpAddr, Duration>>>;

/// The proxy itself; ends with its standard input.
pub async fn serve(listen: &str, target: &str) -> Result<(), Failure> {
    let listener = TcpListener::bind(listen).await?;
    let delays = Delays::default();
    let told = Arc::clone(&delays);
    let target: Arc<str> = Arc::from(target);
    let accepting = async move {
        loop {
            let Ok((stream, from)) = listener.accept().await else { continue };
            tokio::spawn(connection(stream, from.ip(), Arc::clone(&target), Arc::clone(&delays)));
        }
    };
    tokio::select! {
        () = accepting => Ok(()),
        ended = listen_to_orders(&told) => ended,
    }
}

async fn listen_to_orders(delays: &Delays) -> Result<(), Failure> {
    let (send, mut orders) = mpsc::channel(16);
    // Standard input can only be read blocking, and the thread ends with it.
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if send.blocking_send(line).is_err() {
                break;
            }
        }
    });
    while let Some(line) = orders.recv().await {
        let (from, millis) = line.split_once(' ').ok_or("an order is ADDRESS MILLISECONDS")?;
        let delay = Duration::from_millis(millis.trim().parse()?);
        delays.lock().unwrap_or_else(PoisonError::into_inner).insert(from.parse()?, delay);
    }
    Ok(())
}

async fn connection(stream: TcpStream, from: IpAddr, target: Arc<str>, delays: Delays) {
    let Ok(onward) = TcpStream::connect(&*target).await else { return };
    // Without it small messages wait for acknowledgements, which is more than the delay that was asked for.
    if stream.set_nodelay(true).is_err() || onward.set_nodelay(true).is_err() {
        return;
    }
    let ((near_read, near_write), (far_read, far_write)) = (stream.into_split(), onward.into_split());
    tokio::join!(pass(near_read, far_write, from, delays.clone()), pass(far_read, near_write, from, delays));
}

/// Passes bytes on, each part after its delay; ends, and shuts the other side, when either side ends.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, address: IpAddr, delays: Delays) {
    let (send, mut parts) = mpsc::channel::<(Instant, Vec<u8>)>(PARTS_MAX);
    let reading = async move {
        let mut buffer = vec![0; PART_BYTES];
        while let Ok(length) = from.read(&mut buffer).await {
            let delay = delays.lock().unwrap_or_else(PoisonError::into_inner).get(&address).copied();
            let due = Instant::now() + delay.unwrap_or_default();
            if length == 0 || send.send((due, buffer[..length].to_vec())).await.is_err() {
                break;
            }
        }
    };
    let writing = async move {
        while let Some((due, part)) = parts.recv().await {
            tokio::time::sleep_until(due).await;
            if to.write_all(&part).await.is_err() {
                return;
            }
        }
        // The other side may be gone already.
        let _shut = to.shutdown().await;
    };
    // Writing ends after reading has, when all is written, or when it fails.
    let reading = async {
        reading.await;
        std::future::pending().await
    };
    tokio::select! {
        () = writing => {}
        () = reading => {}
    }
}

/// For a program that may be asked to be a proxy: the two addresses, if it was.
pub fn asked() -> Option<(String, String)> {
    let mut words = std::env::args().skip(1);
    (words.next()? == "--proxy").then_some(())?;
    Some((words.next()?, words.next()?))
}
