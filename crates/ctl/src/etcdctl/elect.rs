//! `elect`

use client::concurrency::{Election, Observer, Session};
use client::methods;
use proto::etcdserverpb::RangeRequest;

use super::online::{Online, online};
use super::signals::stop;
use crate::cli::{Call, Command, Flag};
use crate::exit::Exit;
use crate::print::Answer;

/// Seconds, as etcd's library has it.
const SESSION_TTL: i64 = 60;

pub const COMMAND: Command = Command {
    name: "elect",
    args_text: "<election-name> [proposal]",
    short: "Stands for election, or watches who is elected",
    flags: &[Flag::bool("listen", "only watch who is elected").short('l')],
    run: Some(run),
    ..crate::cli::COMMAND
};

fn run(call: &Call) -> Result<(), Exit> {
    if call.args.is_empty() || call.args.len() > 2 {
        return Err(Exit::bad_args("elect takes one election name argument and an optional proposal argument"));
    }
    let (name, listen) = (call.name(0)?, call.flags.bool("listen"));
    match call.args.get(1).cloned() {
        None if !listen => Err(Exit::bad_args("no proposal argument but -l not set")),
        Some(_) if listen => Err(Exit::bad_args("proposal given but -l is set")),
        None => online(call, async |online| {
            tokio::select! {
                observed = observe(online, &name) => observed,
                stopped = stop() => stopped,
            }
        }),
        Some(proposal) => online(call, async |online| {
            let session = Session::open(&online.patient, SESSION_TTL).await?;
            let mut election = Election::new(&session, &name);
            let outcome = lead(online, &session, &mut election, proposal).await;
            // Whatever the outcome was, it is what the user should hear of; the lease runs out by itself if this fails.
            let _resigned = election.resign().await;
            let _closed = session.close().await;
            outcome
        }),
    }
}

async fn observe(online: &Online, name: &str) -> Result<(), Exit> {
    let mut observer = Observer::new(&online.patient, name);
    loop {
        let leader = observer.next().await.map_err(|_| Exit::error("elect: observer lost"))?;
        online.printer.show(&Answer::Get(&leader))?;
    }
}

async fn lead(online: &Online, session: &Session, election: &mut Election<'_>, proposal: Vec<u8>) -> Result<(), Exit> {
    tokio::select! {
        elected = election.campaign(proposal.into()) => elected?,
        stopped = stop() => return stopped,
    }
    let request = RangeRequest { key: election.key().clone(), ..RangeRequest::default() };
    let answer = online.patient.call(&methods::RANGE, request).await?;
    online.printer.show(&Answer::Get(&answer))?;
    tokio::select! {
        stopped = stop() => stopped,
        () = session.lost() => Err(Exit::error("elect: session expired")),
    }
}
