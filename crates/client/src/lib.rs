//! Client of the v3 API: the generated services, and what a user of them needs around them.
//!
//! This room knows the wire and nothing of a server's inside.

/// The services as generated from `/proto`, one module for each package.
pub mod rpc {
    macro_rules! package {
        ($($name:ident, $file:literal;)*) => {
            $(
                #[allow(clippy::all, missing_docs, reason = "generated code")]
                #[rustfmt::skip]
                pub mod $name {
                    include!(concat!("generated/", $file));
                }
            )*
        };
    }

    package! {
        etcdserverpb, "etcdserverpb.rs";
        health, "grpc.health.v1.rs";
        v3electionpb, "v3electionpb.rs";
        v3lockpb, "v3lockpb.rs";
    }
}
