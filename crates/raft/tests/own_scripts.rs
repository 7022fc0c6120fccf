//! Our own scripts, in `tests/scripts`; `QUORATE_REWRITE=1` puts what happens in place of what is expected.

mod harness;

use harness::Cluster;
use testkit::datadriven;

#[test]
fn own_scripts() {
    for path in datadriven::scripts(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scripts")) {
        let mut cluster = Cluster::default();
        datadriven::run(path, |case| cluster.run(case));
    }
}
