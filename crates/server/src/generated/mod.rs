//! The services, as generated from `/proto`, one module for each package.

macro_rules! packages {
    ($($name:ident, $file:literal;)*) => {
        $(
            #[allow(clippy::all, missing_docs, reason = "generated code")]
            #[rustfmt::skip]
            pub mod $name {
                include!($file);
            }
        )*
    };
}

packages! {
    etcdserverpb, "etcdserverpb.rs";
    health, "grpc.health.v1.rs";
    v3electionpb, "v3electionpb.rs";
    v3lockpb, "v3lockpb.rs";
}
