//! What happens when something must not go on.

use crate::exit;
use crate::logging;
use std::fmt::Display;
use std::io::Write as _;

/// Threads without which the member cannot keep its promises.
const MEMBER_THREADS: [&str; 6] = ["main", "driver", "log", "applier", "committer", "purger"];

/// Stops the process at once: what happened leaves the member unable to go on without breaking a promise.
#[track_caller]
pub fn fatal(message: &str, failure: &dyn Display) -> ! {
    logging::fatal(message, &[("error", failure.to_string().into())])
}

/// A broken invariant in a thread of the member ends the process, so that nobody waits for ever for a thread that is gone.
/// One in a front-door thread ends the request at hand.
pub fn end_where_a_thread_of_the_member_fails() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or_default();
        let what = panic.payload_as_str().unwrap_or("a panic without a message");
        let at = panic.location().map(ToString::to_string).unwrap_or_default();
        logging::error(
            "an invariant is broken",
            &[("thread", name.into()), ("error", what.into()), ("location", at.as_str().into())],
        );
        if MEMBER_THREADS.contains(&name) {
            // Where nobody reads, there is nothing to lose.
            std::io::stderr().flush().unwrap_or_default();
            std::process::exit(exit::MISUSE);
        }
    }));
}
