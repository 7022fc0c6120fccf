//! The v3 discovery service: an etcd cluster in which those who want to form a cluster find each other.
//!
//! Under `/_etcd/registry/<token>` an operator has put the number of members (`_config/size`); each member puts its name and
//! URLs at `members/<id>` and waits until there are enough. The oldest registrations make the cluster; who comes later is told
//! that it is full. What cannot be reached is tried again without end, after 2, 4, 8 ... 256 seconds.

use std::ops::ControlFlow;
use std::time::Duration;

use client::{Client, Error as ClientError, methods};
use proto::etcdserverpb::{PutRequest, RangeRequest, RangeResponse, WatchCreateRequest, WatchResponse};
use proto::mvccpb::KeyValue;
use tokio::time::{Instant, sleep};

use crate::config::{Url, V3Discovery};
use crate::logging::{self, Field};

const PREFIX: &str = "/_etcd/registry";
/// After so many failures the pause grows no more.
const DOUBLINGS_MAX: u32 = 8;
/// The pause before the first doubling.
const PAUSE: Duration = Duration::from_secs(1);

/// Why a member did not get into a cluster, with etcd's texts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// A member registered URLs that are none.
    #[error("discovery: invalid peer URL")]
    InvalidUrl,
    #[error("discovery: size key is bad")]
    BadSizeKey,
    #[error("discovery: size key not found")]
    SizeNotFound,
    #[error("discovery: cluster is full")]
    FullCluster,
    /// The endpoints cannot be used.
    #[error("{0}")]
    Client(String),
}

/// One registration.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Registration {
    key: String,
    /// `name=url,name=url`.
    value: String,
    created_at_revision: i64,
}

/// The state of a token as it was read.
struct Census {
    size: usize,
    members: Members,
    revision: i64,
}

/// A member at the service.
pub struct Registry<'a> {
    settings: &'a V3Discovery,
    client: Client,
    /// The key of this member.
    own_key: String,
    failures: u32,
    /// [`PAUSE`], but in tests.
    pause: Duration,
}

impl<'a> Registry<'a> {
    /// Checks the endpoints; asks none yet. `member_id` is made from this member's URLs and the token.
    pub fn new(settings: &'a V3Discovery, member_id: u64) -> Result<Registry<'a>, RegistryError> {
        let config = client::Config {
            endpoints: settings.endpoints.clone(),
            dial_timeout: settings.dial_timeout,
            keepalive_time: settings.keepalive_time,
            keepalive_timeout: settings.keepalive_timeout,
            ..client::Config::default()
        };
        let client = Client::new(config).map_err(|why| RegistryError::Client(why.to_string()))?;
        let own_key = key(&settings.token, &format!("members/{member_id:x}"));
        Ok(Registry { settings, client, own_key, failures: 0, pause: PAUSE })
    }

    /// The same with a shorter pause between attempts.
    #[doc(hidden)]
    pub fn with_pause(self, pause: Duration) -> Registry<'a> {
        Registry { pause, ..self }
    }

    /// Registers `own` (`name=url,...`) and waits for the others; the members as `--initial-cluster` would name them.
    pub async fn join(mut self, own: &str) -> Result<String, RegistryError> {
        let joined = self.register_and_wait(own).await;
        match &joined {
            Ok(cluster) => self.info("discovery joined cluster successfully", &[("cluster", cluster.into())]),
            Err(why) => {
                let fields = self.fields(&[("cluster", "".into()), ("error", why.to_string().into())]);
                logging::error("discovery failed to join cluster", &fields);
            }
        }
        joined
    }

    async fn register_and_wait(&mut self, own: &str) -> Result<String, RegistryError> {
        self.census().await?;
        self.register(own).await;
        loop {
            let mut census = self.census().await?;
            if census.members.len() >= census.size || self.wait(&mut census).await.is_break() {
                return census.members.as_cluster(census.size);
            }
            // The watch ended before its time: what it missed is read anew.
            self.back_off("cluster status check").await;
        }
    }

    /// Reads size and members; refuses where this member can have no place any more.
    async fn census(&mut self) -> Result<Census, RegistryError> {
        loop {
            if let Some(census) = self.try_census().await? {
                self.failures = 0;
                census.members.check_place(&self.own_key, census.size)?;
                return Ok(census);
            }
            self.back_off("cluster status check").await;
        }
    }

    /// `None` where the service could not be reached.
    async fn try_census(&self) -> Result<Option<Census>, RegistryError> {
        let size_key = key(&self.settings.token, "_config/size");
        let answer = match self.range(&size_key, Vec::new()).await {
            Ok(answer) => answer,
            Err(why) => {
                let fields = [("clusterSizeKey", (&size_key).into()), ("error", why.to_string().into())];
                self.warn("failed to get cluster size from discovery service", &fields);
                return Ok(None);
            }
        };
        let size = size_of(answer.kvs.first())?;
        let prefix = key(&self.settings.token, "members");
        let answer = match self.range(&prefix, end_of(&prefix)).await {
            Ok(answer) => answer,
            Err(why) => {
                let fields = [("membersKeyPrefix", (&prefix).into()), ("error", why.to_string().into())];
                self.warn("failed to get cluster members from discovery service", &fields);
                return Ok(None);
            }
        };
        let mut members = Members::default();
        answer.kvs.iter().for_each(|kv| self.take(&mut members, kv));
        let revision = answer.header.map_or(0, |header| header.revision);
        Ok(Some(Census { size, members, revision }))
    }

    async fn register(&mut self, own: &str) {
        let put =
            PutRequest { key: self.own_key.clone().into(), value: own.to_owned().into(), ..PutRequest::default() };
        while let Err(why) = self.in_time().call(&methods::PUT, put.clone()).await {
            let fields = [("memberKey", (&self.own_key).into()), ("error", why.to_string().into())];
            self.warn("failed to register members itself to the discovery service", &fields);
            self.back_off("register member itself").await;
        }
        self.failures = 0;
        let fields = [("memberKey", (&self.own_key).into()), ("memberInfo", own.into())];
        self.info("register member itself successfully", &fields);
    }

    /// Watches until all needed members are there; `Continue` where the watch ended before that.
    async fn wait(&self, census: &mut Census) -> ControlFlow<()> {
        let prefix = key(&self.settings.token, "members");
        let create = WatchCreateRequest {
            key: prefix.clone().into(),
            range_end: end_of(&prefix).into(),
            start_revision: census.revision + 1,
            ..WatchCreateRequest::default()
        };
        let mut watch = self.client.watch(create);
        self.info("waiting for peers from discovery service", &census.counts());
        while census.members.len() < census.size {
            match watch.next().await {
                Some(Ok(WatchResponse { canceled: false, events, .. })) => {
                    events
                        .iter()
                        .filter_map(|event| event.kv.as_ref())
                        .for_each(|kv| self.take(&mut census.members, kv));
                }
                Some(Ok(ended)) => {
                    let why = client::end_reason(&ended).to_string();
                    self.warn("lost the watch for peers in the discovery service", &[("error", why.into())]);
                    return ControlFlow::Continue(());
                }
                Some(Err(why)) => {
                    self.warn(
                        "lost the watch for peers in the discovery service",
                        &[("error", why.to_string().into())],
                    );
                    return ControlFlow::Continue(());
                }
                None => return ControlFlow::Continue(()),
            }
        }
        self.info("found all needed peers from discovery service", &census.counts());
        ControlFlow::Break(())
    }

    fn take(&self, members: &mut Members, kv: &KeyValue) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        let (key, value) = (text(&kv.key), text(&kv.value));
        let fields = [("memberKey", (&key).into()), ("memberInfo", (&value).into())];
        let new = Registration { key: key.clone(), value: value.clone(), created_at_revision: kv.create_revision };
        match members.add(new) {
            Ok(()) => self.info("found peer from discovery service", &fields),
            Err(why) => self.warn(why, &fields),
        }
    }

    async fn range(&self, key: &str, range_end: Vec<u8>) -> Result<RangeResponse, ClientError> {
        let key = key.to_owned().into();
        self.in_time()
            .call(&methods::RANGE, RangeRequest { key, range_end: range_end.into(), ..RangeRequest::default() })
            .await
    }

    /// The client for one request.
    fn in_time(&self) -> Client {
        self.client.until(Some(Instant::now() + self.settings.request_timeout))
    }

    async fn back_off(&mut self, step: &str) {
        self.failures = self.failures.saturating_add(1);
        let pause = self.pause * (1 << self.failures.min(DOUBLINGS_MAX));
        let fields = [("reason", step.into()), ("backoff", pause.into())];
        self.warn("retry connecting to discovery service", &fields);
        sleep(pause).await;
    }

    fn fields<'b>(&self, more: &[Field<'b>]) -> Vec<Field<'b>> {
        let endpoints = self.settings.endpoints.join(",");
        let mut fields: Vec<Field<'b>> =
            vec![("discovery-token", self.settings.token.clone().into()), ("discovery-endpoints", endpoints.into())];
        fields.extend_from_slice(more);
        fields
    }

    #[track_caller]
    fn info(&self, message: &str, fields: &[Field<'_>]) {
        logging::info(message, &self.fields(fields));
    }

    #[track_caller]
    fn warn(&self, message: &str, fields: &[Field<'_>]) {
        logging::warn(message, &self.fields(fields));
    }
}

impl Census {
    fn counts(&self) -> [Field<'static>; 2] {
        [("clusterSize", self.size.into()), ("found-peers", self.members.len().into())]
    }
}

/// The registrations, the oldest first.
#[derive(Debug, Default)]
struct Members(Vec<Registration>);

impl Members {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn add(&mut self, new: Registration) -> Result<(), &'static str> {
        if !new.value.contains('=') {
            return Err("invalid peer info returned from discovery service");
        }
        if self.0.iter().any(|known| known.key == new.key) {
            return Err("found duplicate peer from discovery service");
        }
        let at = self.0.partition_point(|known| known.created_at_revision <= new.created_at_revision);
        self.0.insert(at, new);
        Ok(())
    }

    /// Errs where `size` others are older than the registration at `own_key`, or than one yet to be made.
    fn check_place(&self, own_key: &str, size: usize) -> Result<(), RegistryError> {
        let place = self.0.iter().position(|member| member.key == own_key).unwrap_or(self.0.len());
        if place < size { Ok(()) } else { Err(RegistryError::FullCluster) }
    }

    fn as_cluster(&self, size: usize) -> Result<String, RegistryError> {
        let text = self.0.iter().take(size).map(|member| member.value.as_str()).collect::<Vec<_>>().join(",");
        match gotext::parse_named(&text) {
            Ok(_) => Ok(text),
            Err(_) => Err(RegistryError::InvalidUrl),
        }
    }
}

/// The key of a token's `rest`, cleaned as Go's `path.Join` does.
fn key(token: &str, rest: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in PREFIX.split('/').chain(token.split('/')).chain(rest.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// The end of the range of all keys with this prefix, which ends in a letter.
fn end_of(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}

fn size_of(kv: Option<&KeyValue>) -> Result<usize, RegistryError> {
    let text = std::str::from_utf8(&kv.ok_or(RegistryError::SizeNotFound)?.value);
    let size = text.ok().and_then(|text| text.parse::<i64>().ok()).filter(|size| *size > 0);
    size.and_then(|size| usize::try_from(size).ok()).ok_or(RegistryError::BadSizeKey)
}

/// What a member registers of itself.
pub(super) fn own_registration(name: &str, urls: &[Url]) -> String {
    urls.iter().map(|url| format!("{name}={url}")).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: &str, value: &str, created_at_revision: i64) -> Registration {
        Registration { key: key("t", &format!("members/{id}")), value: value.into(), created_at_revision }
    }

    #[test]
    fn keys_are_joined_as_paths() {
        assert_eq!(key("t", "_config/size"), "/_etcd/registry/t/_config/size");
        assert_eq!(key("/a//b/", "members/1f"), "/_etcd/registry/a/b/members/1f");
        assert_eq!(key("../x/./y", "members"), "/_etcd/x/y/members");
        assert_eq!(end_of("/members"), b"/membert");
    }

    #[test]
    fn the_oldest_registrations_make_the_cluster() {
        let mut members = Members::default();
        members.add(member("c", "c=http://h:3", 30)).unwrap();
        members.add(member("a", "a=http://h:1,a=http://h:9", 10)).unwrap();
        members.add(member("b", "b=http://h:2", 20)).unwrap();
        assert_eq!(members.add(member("d", "junk", 5)), Err("invalid peer info returned from discovery service"));
        assert_eq!(members.add(member("b", "b=http://h:4", 5)), Err("found duplicate peer from discovery service"));
        assert_eq!(members.as_cluster(2).unwrap(), "a=http://h:1,a=http://h:9,b=http://h:2");
        let own = |id: &str| member(id, "", 0).key;
        assert_eq!(members.check_place(&own("b"), 2), Ok(()));
        assert_eq!(members.check_place(&own("c"), 2), Err(RegistryError::FullCluster));
        assert_eq!(members.check_place(&own("new"), 3), Err(RegistryError::FullCluster));
        assert_eq!(members.check_place(&own("new"), 4), Ok(()));
        members.add(member("e", "e=nowhere", 1)).unwrap();
        assert_eq!(members.as_cluster(1), Err(RegistryError::InvalidUrl));
    }

    #[test]
    fn sizes_are_numbers_above_zero() {
        let of = |text: &str| size_of(Some(&KeyValue { value: text.to_owned().into(), ..KeyValue::default() }));
        assert_eq!(of("3"), Ok(3));
        for bad in ["", "0", "-1", "three", "3 ", "99999999999999999999"] {
            assert_eq!(of(bad), Err(RegistryError::BadSizeKey), "{bad:?}");
        }
        assert_eq!(size_of(None), Err(RegistryError::SizeNotFound));
    }
}
