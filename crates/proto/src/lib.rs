//! Messages of every wire and disk format of etcd, and the table of client-visible errors.
//!
//! Generated from the `.proto` files in `/proto` by `cargo xtask codegen`. This room knows no transport: services are
//! generated where they are served or called (`server`, `client`).
//!
//! The proto2 packages (`raftpb`, `walpb`, `snappb`) are declared as proto3 here: absent reads as zero and zero is left
//! out, the form that every release since 3.4 reads (facts: api-v3, section 1). Where a release promises fields that are
//! always on the wire (HardState), the writer in `wal` says so.

pub mod errors;

macro_rules! packages {
    ($($(#[$doc:meta])* $name:ident, $file:literal;)*) => {
        $(
            $(#[$doc])*
            #[allow(clippy::all, reason = "generated code")]
            #[rustfmt::skip]
            pub mod $name {
                include!(concat!("generated/", $file));
            }
        )*
    };
}

packages! {
    /// Users, roles and permissions.
    authpb, "authpb.rs";
    /// Requests and responses of the v3 services, and the requests that raft entries carry.
    etcdserverpb, "etcdserverpb.rs";
    /// The gRPC health protocol.
    health, "grpc.health.v1.rs";
    /// Leases as stored and as asked for between members.
    leasepb, "leasepb.rs";
    /// Member attributes and cluster version inside raft entries.
    membershippb, "membershippb.rs";
    /// Key-value pairs and events.
    mvccpb, "mvccpb.rs";
    /// Raft messages, entries and configurations.
    raftpb, "raftpb.rs";
    /// The envelope of a snapshot file.
    snappb, "snappb.rs";
    /// The election service.
    v3electionpb, "v3electionpb.rs";
    /// The lock service.
    v3lockpb, "v3lockpb.rs";
    /// Records of the log.
    walpb, "walpb.rs";
}
