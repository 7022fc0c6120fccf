//! `lease`

use client::{keep_alive_once, methods};
use proto::etcdserverpb::{LeaseGrantRequest, LeaseLeasesRequest, LeaseRevokeRequest, LeaseTimeToLiveRequest};

use super::keys::lease_arg;
use super::online::online;
use crate::cli::{Call, Command, Flag, print};
use crate::exit::{BAD_CONNECTION, Exit};
use crate::go::parse_int;
use crate::print::{Answer, Format};

pub const COMMAND: Command = Command {
    name: "lease",
    short: "Grants, renews, shows and revokes leases",
    subs: &[
        Command {
            name: "grant",
            args_text: "<ttl>",
            short: "Grants a lease of so many seconds",
            run: Some(grant),
            ..crate::cli::COMMAND
        },
        Command {
            name: "revoke",
            args_text: "<leaseID>",
            short: "Revokes a lease; its keys go with it",
            run: Some(revoke),
            ..crate::cli::COMMAND
        },
        Command {
            name: "timetolive",
            args_text: "<leaseID> [options]",
            short: "Shows how long a lease still lives",
            flags: &[Flag::bool("keys", "show the keys that go with the lease, too")],
            run: Some(time_to_live),
            ..crate::cli::COMMAND
        },
        Command { name: "list", short: "Shows the leases there are", run: Some(list), ..crate::cli::COMMAND },
        Command {
            name: "keep-alive",
            args_text: "[options] <leaseID>",
            short: "Renews a lease again and again",
            flags: &[Flag::bool("once", "renew once and end")],
            run: Some(keep_alive),
            ..crate::cli::COMMAND
        },
    ],
    ..crate::cli::COMMAND
};

fn grant(call: &Call) -> Result<(), Exit> {
    if call.args.len() != 1 {
        return Err(Exit::bad_args("lease grant command needs TTL argument"));
    }
    let ttl = parse_int(&call.text(0), 10).map_err(|why| Exit::bad_args(format!("bad TTL ({why})")))?;
    online(call, async |online| {
        let answer = online.client().call(&methods::LEASE_GRANT, LeaseGrantRequest { ttl, id: 0 }).await;
        let answer = answer.map_err(|error| Exit::error(format!("failed to grant lease ({error})")))?;
        online.printer.show(&Answer::Grant(&answer))
    })
}

fn revoke(call: &Call) -> Result<(), Exit> {
    if call.args.len() != 1 {
        return Err(Exit::bad_args("lease revoke command needs 1 argument"));
    }
    let id = lease_arg(&call.text(0))?;
    online(call, async |online| {
        let answer = online.client().call(&methods::LEASE_REVOKE, LeaseRevokeRequest { id }).await;
        let answer = answer.map_err(|error| Exit::error(format!("failed to revoke lease ({error})")))?;
        online.printer.show(&Answer::Revoke(id, &answer))
    })
}

/// These commands have no deadline, and another exit code.
fn refused(error: client::Error) -> Exit {
    Exit::new(BAD_CONNECTION, error)
}

fn time_to_live(call: &Call) -> Result<(), Exit> {
    if call.args.len() != 1 {
        return Err(Exit::bad_args("lease timetolive command needs lease ID as argument"));
    }
    let (id, keys) = (lease_arg(&call.text(0))?, call.flags.bool("keys"));
    online(call, async |online| {
        let request = LeaseTimeToLiveRequest { id, keys };
        let answer = online.patient.call(&methods::LEASE_TIME_TO_LIVE, request).await.map_err(refused)?;
        online.printer.show(&Answer::TimeToLive { answer: &answer, keys })
    })
}

fn list(call: &Call) -> Result<(), Exit> {
    online(call, async |online| {
        let answer = online.patient.call(&methods::LEASE_LEASES, LeaseLeasesRequest {}).await.map_err(refused)?;
        online.printer.show(&Answer::Leases(&answer))
    })
}

fn keep_alive(call: &Call) -> Result<(), Exit> {
    if call.args.len() != 1 {
        return Err(Exit::bad_args("lease keep-alive command needs lease ID as argument"));
    }
    let id = lease_arg(&call.text(0))?;
    online(call, async |online| {
        if call.flags.bool("once") {
            let answer = keep_alive_once(&online.patient, id).await.map_err(refused)?;
            return online.printer.show(&Answer::KeepAlive(&answer));
        }
        let mut renewals = online.patient.keep_alive(id);
        while let Some(answer) = renewals.next().await.map_err(refused)? {
            online.printer.show(&Answer::KeepAlive(&answer))?;
        }
        if online.printer.format == Format::Simple {
            print(&format!("lease {id:016x} expired or revoked.\n"))?;
        }
        Ok(())
    })
}
