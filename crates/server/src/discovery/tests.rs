//! The members of a first start, from flags alone.

use std::time::Duration;

use super::*;
use crate::config::{self, Loaded, LogConfig, Source};

/// No files, and a log that goes nowhere.
struct Nothing;

impl Source for Nothing {
    fn read(&mut self, _: &str) -> std::io::Result<String> {
        Err(std::io::ErrorKind::NotFound.into())
    }

    fn open_log(&mut self, _: &LogConfig) -> Result<(), String> {
        Ok(())
    }
}

fn config(words: &[&str]) -> Config {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    match config::load(&words, &[], &mut Nothing).1 {
        Ok(Loaded::Run(config, _)) => *config,
        other => panic!("{other:?}"),
    }
}

/// Names that only this text knows; whatever else is asked fails at once.
fn names(hosts: &str) -> Names {
    let conf = ResolvConf::parse("nameserver 127.0.0.1\noptions attempts:1 timeout:1", "m1");
    Names::new(conf, hosts, 1).unwrap().with_patience(Duration::from_millis(1100))
}

async fn found(words: &[&str]) -> Result<Bootstrap, String> {
    let names = names("127.0.0.1 one.example alias\n127.0.0.2 two.example\n");
    initial_cluster(&config(words), &names).await.map_err(|why| why.to_string())
}

#[tokio::test]
async fn the_members_are_those_of_the_flag() {
    let words = ["--name=m1", "--initial-cluster-token=t", "--initial-advertise-peer-urls=http://127.0.0.1:1"];
    let three = "--initial-cluster=m2=http://127.0.0.1:2,m1=http://127.0.0.1:1,m2=http://127.0.0.1:0";
    let Bootstrap { cluster, token } = found(&[&words[..], &[three]].concat()).await.unwrap();
    assert_eq!(verify::show(&cluster), "m1=http://127.0.0.1:1,m2=http://127.0.0.1:0,m2=http://127.0.0.1:2");
    assert_eq!(token, "t");
    let alone = found(&["--name=m9"]).await.unwrap();
    assert_eq!(verify::show(&alone.cluster), "m9=http://localhost:2380", "the default follows the name");
}

#[tokio::test]
async fn members_that_cannot_be_are_refused() {
    let unknown = "couldn't find local name \"m1\" in the initial cluster configuration";
    let cases = [
        ("m1", "other=http://127.0.0.1:1", "http://127.0.0.1:1", unknown),
        ("m1", "", "http://127.0.0.1:1", unknown),
        ("", "m1=http://127.0.0.1:1", "http://127.0.0.1:1", &unknown.replace("m1", "")),
        (
            "m1",
            "m1",
            "http://127.0.0.1:1",
            "error setting up initial cluster: URL scheme must be http, https, unix, or unixs: ",
        ),
        (
            "m1",
            "m1=127.0.0.1:1",
            "http://127.0.0.1:1",
            "error setting up initial cluster: parse \"127.0.0.1:1\": first path segment in URL cannot contain colon",
        ),
        (
            "m1",
            "m1=http://127.0.0.1:2",
            "http://127.0.0.1:1",
            "--initial-cluster has m1=http://127.0.0.1:2 but missing from --initial-advertise-peer-urls=http://127.0.0.1:1 \
             (resolved urls: \"http://127.0.0.1:1\" != \"http://127.0.0.1:2\")",
        ),
        (
            "m1",
            "m1=http://127.0.0.1:1",
            "http://127.0.0.1:1,http://127.0.0.1:2",
            "--initial-advertise-peer-urls has http://127.0.0.1:2 but missing from \
             --initial-cluster=m1=http://127.0.0.1:1,m1=http://127.0.0.1:2",
        ),
        (
            "m1",
            "m1=http://127.0.0.1:1,m1=http://127.0.0.1:2",
            "http://127.0.0.1:1",
            "--initial-cluster has m1=http://127.0.0.1:2 but missing from --initial-advertise-peer-urls=http://127.0.0.1:1 \
             (len([\"http://127.0.0.1:1\"]) != len([\"http://127.0.0.1:1\" \"http://127.0.0.1:2\"]))",
        ),
        (
            "m1",
            "m1=http://127.0.0.1:1,b=http://127.0.0.1:1",
            "http://127.0.0.1:1",
            "initial cluster b=http://127.0.0.1:1,m1=http://127.0.0.1:1 has duplicate url",
        ),
    ];
    for (own, cluster, advertised, text) in cases {
        let words = [
            format!("--name={own}"),
            format!("--initial-cluster={cluster}"),
            format!("--initial-advertise-peer-urls={advertised}"),
        ];
        assert_eq!(found(&words.each_ref().map(String::as_str)).await.unwrap_err(), text);
    }
}

#[tokio::test]
async fn names_are_resolved_before_urls_are_compared() {
    for (cluster, advertised) in [
        ("http://one.example:1", "http://127.0.0.1:1"),
        ("http://127.0.0.1:1", "http://alias:1"),
        ("http://one.example:1,m1=http://127.0.0.2:2", "http://two.example:2,http://alias:1"),
    ] {
        let cluster = format!("--initial-cluster=m1={cluster}");
        let advertised = format!("--initial-advertise-peer-urls={advertised}");
        found(&["--name=m1", &cluster, &advertised]).await.unwrap();
    }
    let words = [
        "--name=m1",
        "--initial-cluster=m1=http://two.example:1",
        "--initial-advertise-peer-urls=http://one.example:1",
    ];
    let text = "--initial-cluster has m1=http://two.example:1 but missing from \
                --initial-advertise-peer-urls=http://one.example:1 (resolved urls: \"http://127.0.0.1:1\" != \
                \"http://127.0.0.2:1\")";
    assert_eq!(found(&words).await.unwrap_err(), text);
}

#[tokio::test]
async fn a_name_that_leads_nowhere_is_given_up_after_its_time() {
    let words = [
        "--name=m1",
        "--initial-cluster=m1=http://none.example:1",
        "--initial-advertise-peer-urls=http://one.example:1",
    ];
    let why = found(&words).await.unwrap_err();
    assert!(
        why.contains("(failed to resolve \"http://none.example:1\" (lookup none.example on 127.0.0.1:1: "),
        "{why}"
    );
    let some =
        ["http://two.example:7", "unix://a", "http://localhost:1", "http://127.0.0.9:1", "junk", "http://no.example:1"];
    let resolved = resolve_urls(&names("127.0.0.2 two.example"), some).await;
    let wanted = [("http://two.example:7".to_owned(), "http://127.0.0.2:7".to_owned())];
    assert_eq!(resolved.urls, wanted.into());
    assert!(resolved.error.unwrap().starts_with("failed to resolve \"http://no.example:1\" (lookup no.example on "));
}

#[tokio::test]
async fn who_joins_need_not_advertise_what_the_flag_names() {
    let existing = ["--name=m1", "--initial-cluster-state=existing"];
    let with = |cluster| [&existing[..], &[cluster]].concat();
    let joined = found(&with("--initial-cluster=m1=http://127.0.0.1:9,m2=http://127.0.0.1:8")).await.unwrap();
    assert_eq!(joined.cluster.len(), 2);
    let why = found(&with("--initial-cluster=m1=http://127.0.0.1:9,m2=http://127.0.0.1:9")).await.unwrap_err();
    assert_eq!(why, "initial cluster m1=http://127.0.0.1:9,m2=http://127.0.0.1:9 has duplicate url");
    let why = found(&with("--initial-cluster=m2=http://127.0.0.1:9")).await.unwrap_err();
    assert_eq!(why, "couldn't find local name \"m1\" in the initial cluster configuration");
}

#[tokio::test]
async fn with_a_service_this_member_is_all_that_is_known_at_first() {
    let given = config(&[
        "--name=m1",
        "--discovery-endpoints=http://127.0.0.1:1,127.0.0.1:2",
        "--discovery-token=tok",
        "--discovery-dial-timeout=1s",
        "--initial-advertise-peer-urls=http://127.0.0.1:3,http://127.0.0.1:4",
    ]);
    let Discovery::Registry(settings) = &given.discovery else { panic!("{:?}", given.discovery) };
    assert_eq!(settings.endpoints, ["http://127.0.0.1:1", "127.0.0.1:2"]);
    assert_eq!((settings.dial_timeout.as_secs(), settings.request_timeout.as_secs()), (1, 5));
    let Bootstrap { cluster, token } = named(&given, &names("")).await.unwrap();
    assert_eq!(verify::show(&cluster), "m1=http://127.0.0.1:3,m1=http://127.0.0.1:4");
    assert_eq!(token, "tok");
    let far = config(&["--discovery-endpoints=https://127.0.0.1:1", "--discovery-token=tok"]);
    let why = initial_cluster(&far, &names("")).await.unwrap_err();
    assert!(matches!(why, DiscoveryError::Join(RegistryError::Client(_))), "{why}");
    assert!(why.to_string().starts_with("failed to join discovery cluster ("), "{why}");
}
