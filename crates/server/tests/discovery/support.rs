//! Scratch directories, ports, child processes, configurations.

use std::io::Write as _;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::atomic::{AtomicU16, Ordering};

use server::config::{self, Config, Loaded, LogConfig, Source};

/// A directory of this test, removed at the end.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("quorate-discovery-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a scratch directory");
        Scratch(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            std::fs::remove_dir_all(&self.0).expect("the scratch directory goes");
        }
    }
}

/// A child that ends with its owner.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        self.0.kill().unwrap_or_default();
        self.0.wait().expect("a child");
    }
}

/// A port that nobody listens on, over TCP or UDP, below those that the system deals out.
pub fn free_port() -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    loop {
        let step = GIVEN.fetch_add(1, Ordering::Relaxed);
        let port = 14_000 + (std::process::id() % 500) as u16 * 12 + step % 2_000;
        let free = TcpListener::bind(("127.0.0.1", port)).is_ok() && UdpSocket::bind(("127.0.0.1", port)).is_ok();
        if free {
            return port;
        }
    }
}

/// Says what a test did not look at, past the test runner, which hides the output of tests that pass.
pub fn left_out(what: &str) {
    writeln!(std::io::stderr(), "\n*** LEFT OUT: {what} ***").expect("standard error");
}

struct Nothing;

impl Source for Nothing {
    fn read(&mut self, _: &str) -> std::io::Result<String> {
        Err(std::io::ErrorKind::NotFound.into())
    }

    fn open_log(&mut self, _: &LogConfig) -> Result<(), String> {
        Ok(())
    }
}

/// What the server makes of a command line.
pub fn config(words: &[&str]) -> Config {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    match config::load(&words, &[], &mut Nothing).1 {
        Ok(Loaded::Run(config, _)) => *config,
        other => panic!("{other:?}"),
    }
}
