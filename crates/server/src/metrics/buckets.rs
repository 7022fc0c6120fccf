//! Upper bounds of histograms (facts: observability, 1.2). Dashboards aggregate over them, so they are part of the
//! contract.

/// The bounds of a histogram, in its unit and in billionths of it.
#[derive(Debug)]
pub struct Buckets {
    pub bounds: &'static [f64],
    pub nanos: &'static [u64],
    /// Nanoseconds of one unit, or billionths of a unit that is no time.
    pub nanos_per_unit: u64,
}

const SECOND: u64 = 1_000_000_000;
const MILLISECOND: u64 = 1_000_000;

/// Bounds that double, from a first one given in nanoseconds.
macro_rules! doubling {
    ($(#[$doc:meta])* $name:ident: $first_nanos:expr, $count:expr, $unit:expr) => {
        $(#[$doc])*
        pub static $name: Buckets = {
            const NANOS: [u64; $count] = {
                let mut nanos = [0; $count];
                let mut n = 0;
                while n < $count {
                    nanos[n] = $first_nanos << n;
                    n += 1;
                }
                nanos
            };
            const BOUNDS: [f64; $count] = {
                let mut bounds = [0.0; $count];
                let mut n = 0;
                while n < $count {
                    bounds[n] = NANOS[n] as f64 / $unit as f64;
                    n += 1;
                }
                bounds
            };
            Buckets { bounds: &BOUNDS, nanos: &NANOS, nanos_per_unit: $unit }
        };
    };
}

doubling!(/** 1 ms to 8.192 s. */ E1: MILLISECOND, 14, SECOND);
doubling!(/** 0.1 s to 51.2 s. */ E2: 100 * MILLISECOND, 10, SECOND);
doubling!(/** 0.1 s to 409.6 s. */ E3: 100 * MILLISECOND, 13, SECOND);
doubling!(/** 0.01 s to 655.36 s. */ E4: 10 * MILLISECOND, 17, SECOND);
doubling!(/** 0.01 s to 163.84 s. */ E5: 10 * MILLISECOND, 15, SECOND);
doubling!(/** 0.1 ms to 52.4288 s. */ E6: MILLISECOND / 10, 20, SECOND);
doubling!(/** 0.1 ms to 3.2768 s. */ E7: MILLISECOND / 10, 16, SECOND);
doubling!(/** 1 s to 8388608 s. */ E8: SECOND, 24, SECOND);
doubling!(/** 1 ms to 4096 ms. */ E10: MILLISECOND, 13, MILLISECOND);
doubling!(/** 100 ms to 819200 ms. */ E11: 100 * MILLISECOND, 14, MILLISECOND);

/// The usual bounds of gRPC histograms, 5 ms to 10 s.
pub static GRPC: Buckets = Buckets {
    bounds: &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0],
    nanos: &[
        5 * MILLISECOND,
        10 * MILLISECOND,
        25 * MILLISECOND,
        50 * MILLISECOND,
        100 * MILLISECOND,
        250 * MILLISECOND,
        500 * MILLISECOND,
        SECOND,
        2500 * MILLISECOND,
        5 * SECOND,
        10 * SECOND,
    ],
    nanos_per_unit: SECOND,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_bounds_are_etcds() {
        let last = |buckets: &Buckets| *buckets.bounds.last().unwrap();
        let all = [(&E1, 8.192), (&E3, 409.6), (&E4, 655.36), (&E5, 163.84), (&E6, 52.4288), (&E8, 8_388_608.0)];
        for (buckets, bound) in
            all.into_iter().chain([(&E2, 51.2), (&E7, 3.2768), (&E10, 4096.0), (&E11, 819_200.0), (&GRPC, 10.0)])
        {
            assert_eq!(last(buckets), bound);
            assert_eq!(buckets.bounds.len(), buckets.nanos.len());
        }
    }
}
