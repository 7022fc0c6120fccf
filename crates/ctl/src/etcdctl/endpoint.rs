//! `endpoint`: health, status and hash of each endpoint.

use std::time::Instant;

use client::{Client, methods};
use proto::errors::ClientError;
use proto::etcdserverpb::{AlarmType, HashKvRequest, RangeRequest, StatusRequest};
use tokio::task::JoinSet;

use super::alarm::alarms;
use super::online::online;
use crate::cli::{Call, Command, Flag, print};
use crate::exit::Exit;
use crate::print::{Answer, Format, Health, health_line};

pub const COMMAND: Command = Command {
    name: "endpoint",
    short: "Looks at each endpoint by itself",
    persistent: &[Flag::bool("cluster", "ask for the members first, and use the endpoints of all of them")],
    subs: &[
        Command {
            name: "health",
            short: "Tells for each endpoint whether it serves",
            run: Some(health),
            ..crate::cli::COMMAND
        },
        Command {
            name: "status",
            short: "Shows version, sizes, role and progress of each endpoint",
            long: "Shows version, sizes, role and progress of each endpoint.\n\nThe simple format has one line \
                   for each endpoint: endpoint, ID, version, storage version, db size, in use,\npercentage not in use, \
                   quota, is leader, is learner, raft term, raft index, raft applied index, errors,\ndowngrade target \
                   version, downgrade enabled.",
            run: Some(status),
            ..crate::cli::COMMAND
        },
        Command {
            name: "hashkv",
            short: "Shows for each endpoint a hash over its keys and their history",
            flags: &[Flag::int("rev", "0", "hash up to this revision (0 means the latest)")],
            run: Some(hashkv),
            ..crate::cli::COMMAND
        },
    ],
    ..crate::cli::COMMAND
};

fn health(call: &Call) -> Result<(), Exit> {
    online(call, async |online| {
        let mut checks = JoinSet::new();
        for endpoint in online.chosen_endpoints(call).await? {
            checks.spawn(check(online.client_of(&endpoint, "client")?, endpoint));
        }
        // In the order of arrival.
        let mut healths = Vec::new();
        while let Some(health) = checks.join_next().await {
            healths.push(health.map_err(|error| Exit::error(format!("health check ended: {error}")))?);
        }
        if online.printer.format == Format::Simple {
            for health in &healths {
                let line = health_line(health);
                if health.error.is_none() { print(&format!("{line}\n"))? } else { eprintln!("{line}") }
            }
        } else {
            online.printer.show(&Answer::Health(&healths))?;
        }
        if healths.iter().any(|health| health.error.is_some()) {
            return Err(Exit::error("unhealthy cluster"));
        }
        Ok(())
    })
}

/// A linearizable read, which no permission needs to allow, and then the alarms.
async fn check(client: Client, endpoint: String) -> Health {
    let begun = Instant::now();
    let request = RangeRequest { key: "health".into(), ..RangeRequest::default() };
    let read = client.call(&methods::RANGE, request).await;
    let took = begun.elapsed();
    let error = match read {
        Err(error) if error.known() != Some(ClientError::PermissionDenied) => Some(error.to_string()),
        _ => match alarms(&client).await {
            Ok(answer) if answer.alarms.is_empty() => None,
            Ok(answer) => {
                let names = answer.alarms.iter().map(|alarm| match AlarmType::try_from(alarm.alarm) {
                    Ok(AlarmType::Nospace) => "NOSPACE ",
                    Ok(AlarmType::Corrupt) => "CORRUPT ",
                    _ => "UNKNOWN ",
                });
                Some(format!("Active Alarm(s): {}", names.collect::<String>()))
            }
            Err(_) => Some("Unable to fetch the alarm list".to_owned()),
        },
    };
    Health { endpoint, took, error }
}

fn status(call: &Call) -> Result<(), Exit> {
    online(call, async |online| {
        let (mut statuses, mut failed) = (Vec::new(), false);
        for endpoint in online.chosen_endpoints(call).await? {
            let client = online.client_of(&endpoint, "etcd-client")?;
            match client.call(&methods::STATUS, StatusRequest {}).await {
                Ok(answer) => statuses.push((endpoint, answer)),
                Err(error) => {
                    eprintln!("Failed to get the status of endpoint {endpoint} ({error})");
                    failed = true;
                }
            }
        }
        online.printer.show(&Answer::Status(&statuses))?;
        if failed { Err(Exit::silent(1)) } else { Ok(()) }
    })
}

fn hashkv(call: &Call) -> Result<(), Exit> {
    let revision = call.flags.int("rev");
    online(call, async |online| {
        let (mut hashes, mut failure) = (Vec::new(), None);
        for endpoint in online.chosen_endpoints(call).await? {
            let client = online.client_of(&endpoint, "etcd-client")?;
            match client.call(&methods::HASH_KV, HashKvRequest { revision }).await {
                Ok(answer) => hashes.push((endpoint, answer)),
                Err(error) => {
                    eprintln!("Failed to get the hash of endpoint {endpoint} ({error})");
                    failure = Some(error);
                }
            }
        }
        online.printer.show(&Answer::HashKv(&hashes))?;
        failure.map_or(Ok(()), |error| Err(error.into()))
    })
}
