//! Moments as `/raft/probing` tells them: RFC 3339 with nanoseconds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY_SECS: i64 = 86_400;

/// A moment as text, in UTC.
pub(crate) fn text(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let secs = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    let (year, month, day) = civil(secs.div_euclid(DAY_SECS));
    let rest = secs.rem_euclid(DAY_SECS);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    let nanos = match since.subsec_nanos() {
        0 => String::new(),
        nanos => format!(".{nanos:09}").trim_end_matches('0').to_owned(),
    };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{nanos}Z")
}

/// Reads such a text, of any zone.
pub(crate) fn read(text: &str) -> Option<SystemTime> {
    let text = text.is_ascii().then_some(text)?;
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<u32>().ok().map(i64::from);
    let mark = |at: usize, marks: &str| text.get(at..=at).filter(|mark| marks.contains(mark));
    mark(4, "-").and(mark(7, "-")).and(mark(10, "Tt")).and(mark(13, ":")).and(mark(16, ":"))?;
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let rest = text.get(19..)?;
    let digits = rest.strip_prefix('.').map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
    let nanos = format!("{:0<9}", rest.get(1..1 + digits).unwrap_or_default()).get(..9)?.parse().ok()?;
    let zone = zone_secs(rest.get(if digits == 0 { 0 } else { 1 + digits }..)?)?;
    let secs =
        days(year, month, day) * DAY_SECS + number(11, 13)? * 3600 + number(14, 16)? * 60 + number(17, 19)? - zone;
    UNIX_EPOCH.checked_add(Duration::new(u64::try_from(secs).ok()?, nanos))
}

/// Seconds east of UTC.
fn zone_secs(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let sign = match text.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    Some(sign * (i64::from(hours.parse::<u8>().ok()?) * 3600 + i64::from(minutes.parse::<u8>().ok()?) * 60))
}

/// The Gregorian date of a day counted from 1970-01-01: years begin in March, in eras of 400 of them.
fn civil(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let of_era = day.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, of_year - (153 * shifted + 2) / 5 + 1)
}

/// The reverse.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * shifted + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_read_as_written() {
        let at = read("2026-11-20T23:51:12.999460036Z").unwrap();
        assert_eq!(text(at), "2026-11-20T23:51:12.999460036Z");
        assert_eq!(at.duration_since(UNIX_EPOCH).unwrap().as_secs(), 1_795_218_672);
        assert_eq!(read("2026-11-21T00:51:12.999460036+01:00"), Some(at));
        assert_eq!(text(UNIX_EPOCH), "1970-01-01T00:00:00Z");
        for secs in (0..4_000_000_000u64).step_by(10_000_019) {
            let at = UNIX_EPOCH + Duration::new(secs, 500_000_000);
            assert_eq!(read(&text(at)), Some(at));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "2026",
            "2026-13-20T23:51:12Z",
            "2026-11-20T23:51:12",
            "2026-11-20 23:51:12Z",
            "ü",
            "1969-11-20T23:51:12Z",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(read("2026-11-20T23:51:12.Z"), None);
    }
}
