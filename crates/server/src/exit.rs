//! How the process ends, and which signals it does not end by.

/// SIGTERM or SIGINT, as a graceful stop was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Interrupt,
    Terminate,
}

impl Signal {
    /// As in the log line of the shutdown.
    pub fn name(self) -> &'static str {
        match self {
            Signal::Interrupt => "interrupt",
            Signal::Terminate => "terminated",
        }
    }

    fn number(self) -> libc::c_int {
        match self {
            Signal::Interrupt => libc::SIGINT,
            Signal::Terminate => libc::SIGTERM,
        }
    }
}

/// Exit code of a wrong command line, and where etcd panics.
pub const MISUSE: i32 = 2;
/// Exit code of everything else that fails.
pub const FAILURE: i32 = 1;

/// Lets the process live through SIGUSR1, as etcd does. To be called before threads start.
#[expect(unsafe_code, reason = "signal dispositions have no safe interface in the standard library")]
pub fn ignore_user_signal() {
    // SAFETY: ignoring a signal runs no code of ours.
    unsafe { libc::signal(libc::SIGUSR1, libc::SIG_IGN) };
}

/// From here on SIGINT ends the process at once.
#[expect(unsafe_code, reason = "signal dispositions have no safe interface in the standard library")]
pub fn end_at_next_interrupt() {
    // SAFETY: the default disposition runs no code of ours.
    unsafe { libc::signal(libc::SIGINT, libc::SIG_DFL) };
}

/// Ends the process by the signal that stopped it, so that a parent sees what happened; as process 1, which signals
/// don't end, with code 0.
#[expect(unsafe_code, reason = "signal dispositions have no safe interface in the standard library")]
pub fn end_by(signal: Signal) -> ! {
    if std::process::id() != 1 {
        // SAFETY: the default disposition replaces the runtime's handler; nothing runs here after the signal.
        unsafe {
            libc::signal(signal.number(), libc::SIG_DFL);
            libc::raise(signal.number());
        }
    }
    std::process::exit(0)
}
