//! The page as a whole.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::config::Gates;

/// Families by name: type and lines.
fn families(page: &str) -> BTreeMap<String, (String, Vec<String>)> {
    let mut families: BTreeMap<String, (String, Vec<String>)> = BTreeMap::new();
    let mut current = String::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(families.insert(name.to_owned(), (kind.to_owned(), Vec::new())).is_none(), "{name} twice");
            current = name.to_owned();
        } else if !line.starts_with('#') {
            assert!(line.starts_with(&current), "{line} under {current}");
            families.get_mut(&current).unwrap().1.push(line.to_owned());
        }
    }
    families
}

fn scrape() -> Scrape {
    Scrape {
        has_leader: Some(1),
        quota_backend_bytes: Some(2_147_483_648),
        compact_revision: Some(-1),
        server_version: "3.7.1".into(),
        server_id: Some(0x8e9e_05c5_2164_694d),
        cluster_version: Some("3.7".into()),
        members: vec![0x8e9e_05c5_2164_694d],
        gates: Some(Gates::default()),
        ..Scrape::default()
    }
}

#[test]
fn a_fresh_page_has_what_is_computed() {
    let page = Metrics::new(false).render(&scrape());
    let families = families(&page);
    let lines = |name: &str| families.get(name).map(|(_, lines)| lines.clone()).unwrap_or_default();
    assert_eq!(lines("etcd_server_quota_backend_bytes"), ["etcd_server_quota_backend_bytes 2.147483648e+09"]);
    assert_eq!(lines("etcd_debugging_mvcc_compact_revision"), ["etcd_debugging_mvcc_compact_revision -1"]);
    assert_eq!(lines("etcd_server_id"), ["etcd_server_id{server_id=\"8e9e05c52164694d\"} 1"]);
    assert_eq!(lines("etcd_cluster_version"), ["etcd_cluster_version{cluster_version=\"3.7\"} 1"]);
    assert_eq!(lines("grpc_server_started_total").len(), 45);
    assert_eq!(lines("grpc_server_handled_total").len(), 765);
    assert_eq!(lines("etcd_server_feature_enabled").len(), 11);
    assert!(
        lines("etcd_server_feature_enabled")
            .contains(&"etcd_server_feature_enabled{name=\"FastLeaseKeepAlive\",stage=\"BETA\"} 1".to_owned())
    );
    for absent in ["etcd_server_is_leader", "grpc_server_handling_seconds", "etcd_server_apply_duration_seconds"] {
        assert!(!families.contains_key(absent), "{absent} is not computed yet");
    }
    let names: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next()).collect();
    assert!(names.is_sorted(), "families stand by name");
}

#[test]
fn histograms_add_up() {
    let metrics = Metrics::new(true);
    metrics.wal_fsync.observe(Duration::from_millis(3));
    metrics.lease_ttls.observe_units(60);
    metrics.applies.observe(Op::Put, true, Duration::from_micros(150));
    metrics.ranges.observe(Op::Range, true, Duration::from_micros(90));
    let put = Method::of_path("/etcdserverpb.KV/Put").unwrap();
    metrics.grpc.started(put);
    metrics.grpc.handled(put, 0, Duration::from_millis(7));
    let page = metrics.render(&Scrape::default());
    let expected = "etcd_disk_wal_fsync_duration_seconds_bucket{le=\"0.001\"} 0
etcd_disk_wal_fsync_duration_seconds_bucket{le=\"0.002\"} 0
etcd_disk_wal_fsync_duration_seconds_bucket{le=\"0.004\"} 1";
    assert!(page.contains(expected), "{page}");
    for line in [
        "etcd_disk_wal_fsync_duration_seconds_sum 0.003",
        "etcd_debugging_lease_ttl_total_bucket{le=\"64\"} 1",
        "etcd_debugging_lease_ttl_total_bucket{le=\"8.388608e+06\"} 1",
        "etcd_debugging_lease_ttl_total_sum 60",
        "etcd_server_apply_duration_seconds_bucket{op=\"Put\",success=\"true\",version=\"v3\",le=\"0.0002\"} 1",
        "etcd_server_range_duration_seconds_count{success=\"true\"} 1",
        "grpc_server_handling_seconds_bucket{grpc_method=\"Put\",grpc_service=\"etcdserverpb.KV\",grpc_type=\"unary\",le=\"0.01\"} 1",
        "grpc_server_handled_total{grpc_code=\"OK\",grpc_method=\"Put\",grpc_service=\"etcdserverpb.KV\",grpc_type=\"unary\"} 1",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} is missing");
    }
}

#[test]
fn series_on_first_use() {
    let metrics = Metrics::new(false);
    metrics.client_requests.count(false, Some("3.7"));
    metrics.client_requests.count(true, None);
    metrics.client_requests.count(false, Some("odd\"one"));
    metrics.stream_failures.count(StreamApi::Watch, Direction::Receive);
    metrics.health_checks.record("readyz", "non_learner", false);
    let lock = Method::of_path("/v3lockpb.Lock/Lock").unwrap();
    metrics.grpc.started(lock);
    let page = metrics.render(&Scrape::default());
    for line in [
        "etcd_server_client_requests_total{client_api_version=\"3.7\",type=\"unary\"} 1",
        "etcd_server_client_requests_total{client_api_version=\"unknown\",type=\"stream\"} 1",
        "etcd_server_client_requests_total{client_api_version=\"odd\\\"one\",type=\"unary\"} 1",
        "etcd_network_server_stream_failures_total{API=\"watch\",Type=\"receive\"} 1",
        "etcd_server_healthcheck{name=\"non_learner\",type=\"readyz\"} 0",
        "etcd_server_healthchecks_total{name=\"non_learner\",status=\"error\",type=\"readyz\"} 1",
        "grpc_server_started_total{grpc_method=\"Lock\",grpc_service=\"v3lockpb.Lock\",grpc_type=\"unary\"} 1",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} is missing");
    }
    for n in 0..200 {
        metrics.client_requests.count(false, Some(&format!("made-up-{n}")));
    }
    let versions = metrics.render(&Scrape::default()).matches("made-up-").count();
    assert!(versions <= 64, "clients cannot grow the page without bound: {versions}");
}

#[test]
fn old_labels_go_to_zero() {
    let metrics = Metrics::new(false);
    let mut now = scrape();
    now.cluster_version = Some("3.6".into());
    now.alarms = vec![MemberAlarm { member: 0xab, kind: "NOSPACE" }];
    metrics.render(&now);
    now.cluster_version = Some("3.7".into());
    now.alarms.clear();
    let page = metrics.render(&now);
    for line in [
        "etcd_cluster_version{cluster_version=\"3.6\"} 0",
        "etcd_cluster_version{cluster_version=\"3.7\"} 1",
        "etcd_debugging_server_alarms{alarm_type=\"NOSPACE\",server_id=\"ab\"} 0",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} is missing");
    }
}

/// Everything but the process, of gRPC one method: names, helps, types, labels, bounds.
#[test]
fn the_page_is_as_it_was() {
    let metrics = Metrics::new(true);
    metrics.applies.observe(Op::Put, true, Duration::from_micros(150));
    metrics.requests.observe(Op::ReadonlyTxn, false, Duration::from_millis(150));
    metrics.ranges.observe(Op::Range, true, Duration::from_micros(90));
    metrics.client_requests.count(true, Some("3.4"));
    metrics.stream_failures.count(StreamApi::LeaseKeepAlive, Direction::Send);
    metrics.health_checks.record("livez", "serializable_read", true);
    let page = metrics.render(&Scrape { alarms: vec![MemberAlarm { member: 10, kind: "CORRUPT" }], ..scrape() });
    let system = |line: &str| {
        ["process_", "os_fd_"]
            .iter()
            .any(|prefix| line.trim_start_matches("# HELP ").trim_start_matches("# TYPE ").starts_with(prefix))
    };
    let other_call = |line: &str| line.starts_with("grpc_") && !line.contains("grpc_method=\"Put\"");
    let shown: Vec<_> = page.lines().filter(|line| !system(line) && !other_call(line)).collect();
    crate::config::golden("tests/golden/metrics.txt", &(shown.join("\n") + "\n"));
}

/// A handle that nobody moves would show zeros that mean nothing.
#[test]
fn every_handle_is_moved_somewhere() {
    fn read(dir: &Path, text: &mut String) {
        for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
            if entry.path().is_dir() && entry.file_name() != "metrics" {
                read(&entry.path(), text);
            } else if entry.path().is_file() {
                text.push_str(&fs::read_to_string(entry.path()).unwrap());
            }
        }
    }
    let mut text = String::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut text);
    let lost: Vec<_> = Handles::FIELDS.iter().filter(|field| !text.contains(&format!(".{field}"))).collect();
    assert!(lost.is_empty(), "nobody moves {lost:?}");
}
