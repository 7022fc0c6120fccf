//! Makes directories for real etcd to open: `QUORATE_HANDOVER_DIR=/tmp/x cargo test -p node --test handover -- --ignored`
//! leaves `/tmp/x/3.4` and `/tmp/x/3.5`, each of a member stopped in good order, with its HashKV on stdout.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use common::*;
use disk::RealDisk;
use node::{BootOptions, Config};
use state::Version;

#[test]
#[ignore = "leaves directories behind for another program"]
fn leave_directories() {
    let root = PathBuf::from(std::env::var_os("QUORATE_HANDOVER_DIR").expect("QUORATE_HANDOVER_DIR says where to"));
    for compat in [Version::V3_4, Version::V3_5] {
        let node = Config { compat, snapshot_count: 20, ..config() };
        let data_dir = root.join(format!("3.{}", compat.minor));
        let options = BootOptions { data_dir, ..options(Arc::new(RealDisk), node) };
        let mut member = Member::start(options).unwrap();
        member.grant(7, 1000).unwrap();
        for n in 0..60 {
            member.put(&format!("k{}", n % 9), &n.to_string(), if n % 10 == 0 { 7 } else { 0 }).unwrap();
        }
        member.delete("k3").unwrap();
        member.compact(30, true);
        member.wait(Duration::from_secs(2));
        let view = member.booted.reader.view();
        println!("3.{} revision {} {:?}", compat.minor, view.revision(), view.hash_kv(0, view.hash_rule()).unwrap());
        drop(view);
        member.stop();
    }
}
