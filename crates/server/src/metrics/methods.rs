//! The gRPC methods that are counted.

use std::sync::LazyLock;

/// How messages flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flow {
    Unary,
    ServerStream,
    BidiStream,
}

impl Flow {
    /// The value of label `grpc_type`.
    pub fn label(self) -> &'static str {
        match self {
            Flow::Unary => "unary",
            Flow::ServerStream => "server_stream",
            Flow::BidiStream => "bidi_stream",
        }
    }
}

/// One service with its methods.
struct Service {
    name: &'static str,
    /// Whether its series exist from the start.
    from_start: bool,
    methods: &'static [(&'static str, Flow)],
}

use Flow::{BidiStream, ServerStream, Unary};

const SERVICES: [Service; 9] = [
    Service {
        name: "etcdserverpb.KV",
        from_start: true,
        methods: &[
            ("Range", Unary),
            ("Put", Unary),
            ("DeleteRange", Unary),
            ("Txn", Unary),
            ("Compact", Unary),
            ("RangeStream", ServerStream),
        ],
    },
    Service { name: "etcdserverpb.Watch", from_start: true, methods: &[("Watch", BidiStream)] },
    Service {
        name: "etcdserverpb.Lease",
        from_start: true,
        methods: &[
            ("LeaseGrant", Unary),
            ("LeaseRevoke", Unary),
            ("LeaseKeepAlive", BidiStream),
            ("LeaseTimeToLive", Unary),
            ("LeaseLeases", Unary),
        ],
    },
    Service {
        name: "etcdserverpb.Cluster",
        from_start: true,
        methods: &[
            ("MemberAdd", Unary),
            ("MemberRemove", Unary),
            ("MemberUpdate", Unary),
            ("MemberList", Unary),
            ("MemberPromote", Unary),
        ],
    },
    Service {
        name: "etcdserverpb.Maintenance",
        from_start: true,
        methods: &[
            ("Alarm", Unary),
            ("Status", Unary),
            ("Defragment", Unary),
            ("Hash", Unary),
            ("HashKV", Unary),
            ("Snapshot", ServerStream),
            ("MoveLeader", Unary),
            ("Downgrade", Unary),
        ],
    },
    Service {
        name: "etcdserverpb.Auth",
        from_start: true,
        methods: &[
            ("AuthEnable", Unary),
            ("AuthDisable", Unary),
            ("AuthStatus", Unary),
            ("Authenticate", Unary),
            ("UserAdd", Unary),
            ("UserGet", Unary),
            ("UserList", Unary),
            ("UserDelete", Unary),
            ("UserChangePassword", Unary),
            ("UserGrantRole", Unary),
            ("UserRevokeRole", Unary),
            ("RoleAdd", Unary),
            ("RoleGet", Unary),
            ("RoleList", Unary),
            ("RoleDelete", Unary),
            ("RoleGrantPermission", Unary),
            ("RoleRevokePermission", Unary),
        ],
    },
    Service {
        name: "grpc.health.v1.Health",
        from_start: true,
        methods: &[("Check", Unary), ("List", Unary), ("Watch", ServerStream)],
    },
    Service { name: "v3lockpb.Lock", from_start: false, methods: &[("Lock", Unary), ("Unlock", Unary)] },
    Service {
        name: "v3electionpb.Election",
        from_start: false,
        methods: &[
            ("Campaign", Unary),
            ("Proclaim", Unary),
            ("Leader", Unary),
            ("Observe", ServerStream),
            ("Resign", Unary),
        ],
    },
];

/// Names of methods that change nothing, so that nobody has to know whether one that was cut was carried out.
const READS: [&str; 20] = [
    "Range",
    "RangeStream",
    "Watch",
    "LeaseTimeToLive",
    "LeaseLeases",
    "MemberList",
    "Status",
    "Defragment",
    "Hash",
    "HashKV",
    "Snapshot",
    "AuthStatus",
    "Authenticate",
    "UserGet",
    "UserList",
    "RoleGet",
    "RoleList",
    "Check",
    "Leader",
    "Observe",
];

/// By the place of the method.
static IS_READ: LazyLock<Vec<bool>> =
    LazyLock::new(|| Method::all().map(|known| READS.contains(&known.name)).collect());

/// A counted method: its place in the list of all, and how its messages flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Method(u8, Flow);

/// What is known of a method.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    pub method: Method,
    pub service: &'static str,
    pub name: &'static str,
    pub flow: Flow,
    pub from_start: bool,
}

impl Method {
    /// All methods, in the order of their places.
    pub fn all() -> impl Iterator<Item = Known> {
        let methods = SERVICES.iter().flat_map(|s| s.methods.iter().map(move |(name, flow)| (s, *name, *flow)));
        methods.zip(0u8..).map(|((service, name, flow), place)| Known {
            method: Method(place, flow),
            service: service.name,
            name,
            flow,
            from_start: service.from_start,
        })
    }

    /// Finds the method of a request's path, `/etcdserverpb.KV/Put`.
    pub fn of_path(path: &str) -> Option<Method> {
        let (service, name) = path.strip_prefix('/')?.split_once('/')?;
        let mut place = 0u8;
        for known in &SERVICES {
            if known.name == service {
                let at = known.methods.iter().position(|(known, _)| *known == name)?;
                return Some(Method(place + u8::try_from(at).ok()?, known.methods[at].1));
            }
            place += u8::try_from(known.methods.len()).ok()?;
        }
        None
    }

    /// Whether there is a service of this name.
    pub fn knows_service(name: &str) -> bool {
        SERVICES.iter().any(|service| service.name == name)
    }

    pub fn flow(self) -> Flow {
        self.1
    }

    /// Whether it changes nothing.
    pub fn is_read(self) -> bool {
        IS_READ[self.place()]
    }

    /// The path of its requests. Not for every call: it is looked for.
    pub fn path(self) -> String {
        let known = Method::all().find(|known| known.method == self);
        known.map(|known| format!("/{}/{}", known.service, known.name)).unwrap_or_default()
    }

    /// The place in [`Method::all`].
    pub fn place(self) -> usize {
        self.0.into()
    }
}

/// The names of the gRPC status codes, by number.
pub const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_methods_by_path() {
        assert_eq!(Method::all().filter(|known| known.from_start).count(), 45, "as etcd 3.7.1");
        for known in Method::all() {
            assert_eq!(Method::of_path(&known.method.path()), Some(known.method));
            assert_eq!(known.method.flow(), known.flow);
        }
        for path in ["/etcdserverpb.KV/Nope", "/x/y", "KV", "/etcdserverpb.KV", ""] {
            assert_eq!(Method::of_path(path), None);
        }
    }

    #[test]
    fn reads_are_told_from_changes() {
        let is_read = |path| Method::of_path(path).expect("known").is_read();
        assert!(is_read("/etcdserverpb.KV/Range") && is_read("/v3electionpb.Election/Leader"));
        assert!(!is_read("/etcdserverpb.KV/Put") && !is_read("/etcdserverpb.KV/Txn"));
        for name in READS {
            assert!(Method::all().any(|known| known.name == name), "{name} is no method");
        }
    }
}
