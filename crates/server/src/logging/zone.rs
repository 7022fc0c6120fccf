//! The local time as log lines show it: six digits of the second, `Z` or `+0100`.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Zones change at whole quarters of an hour.
const QUARTER_SECS: i64 = 900;
/// Bits of [`CACHE`] for the offset.
const OFFSET_BITS: u32 = 20;

/// The quarter that was looked up last and its offset from UTC in seconds, in one word.
static CACHE: AtomicI64 = AtomicI64::new(i64::MIN);

/// Now, as text.
pub fn now() -> String {
    text(SystemTime::now())
}

/// A moment as text.
pub fn text(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let secs = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    format(secs, since.subsec_micros(), offset(secs))
}

fn offset(secs: i64) -> i64 {
    let quarter = secs.div_euclid(QUARTER_SECS);
    let cached = CACHE.load(Ordering::Relaxed);
    if cached >> OFFSET_BITS == quarter {
        return (cached & ((1 << OFFSET_BITS) - 1)) - (1 << (OFFSET_BITS - 1));
    }
    let offset = local_offset(secs);
    CACHE.store((quarter << OFFSET_BITS) | (offset + (1 << (OFFSET_BITS - 1))), Ordering::Relaxed);
    offset
}

/// Seconds east of UTC, by the C library, which knows `TZ` and the system's zone.
#[expect(unsafe_code, reason = "no safe interface to the system's time zone without a dependency")]
fn local_offset(secs: i64) -> i64 {
    let time: libc::time_t = secs;
    // SAFETY: `tm` is plain data for which all zeros are a value; both pointers are valid for the call, which keeps
    // neither. The environment is not changed while threads run.
    let tm = unsafe {
        let mut tm: libc::tm = std::mem::zeroed();
        if libc::localtime_r(&time, &mut tm).is_null() {
            return 0;
        }
        tm
    };
    tm.tm_gmtoff
}

fn format(secs: i64, micros: u32, offset: i64) -> String {
    let local = secs + offset;
    let (days, rest) = (local.div_euclid(86_400), local.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    let zone = match offset {
        0 => "Z".to_owned(),
        _ => {
            let sign = if offset < 0 { '-' } else { '+' };
            format!("{sign}{:02}{:02}", offset.abs() / 3600, offset.abs() / 60 % 60)
        }
    };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}{zone}")
}

/// Year, month and day of a day since 1970-01-01, after Howard Hinnant's `civil_from_days`.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_dates() {
        assert_eq!(format(0, 5, 0), "1970-01-01T00:00:00.000005Z");
        assert_eq!(format(951_782_400, 0, 3600), "2000-02-29T01:00:00.000000+0100");
        assert_eq!(format(1_767_366_245, 123_456, -19_800), "2026-01-02T09:34:05.123456-0530");
    }

    #[test]
    fn keeps_the_offset_of_a_quarter() {
        let secs = 1_767_366_245;
        assert_eq!(offset(secs), local_offset(secs));
        assert_eq!(offset(secs), local_offset(secs), "the second time from the cache");
        CACHE.store((5 << OFFSET_BITS) | ((1 << (OFFSET_BITS - 1)) - 3600), Ordering::Relaxed);
        assert_eq!(offset(5 * QUARTER_SECS + 1), -3600);
    }
}
