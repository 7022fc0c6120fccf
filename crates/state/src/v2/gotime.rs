//! Moments as nanoseconds since 1970 and as RFC 3339 text, the way etcd's JSON has them.

/// Nanoseconds since 1970, UTC.
pub type UnixNanos = i64;

/// The text of a node that never expires.
pub(super) const ZERO: &str = "0001-01-01T00:00:00Z";

const NANOS: i128 = 1_000_000_000;
const DAY_SECS: i64 = 86_400;

/// RFC 3339 in UTC, with as many decimals as are needed.
pub(super) fn format(nanos: UnixNanos) -> String {
    let secs = nanos.div_euclid(NANOS as i64);
    let fraction = nanos.rem_euclid(NANOS as i64);
    let (year, month, day) = civil(secs.div_euclid(DAY_SECS));
    let s = secs.rem_euclid(DAY_SECS);
    let mut out = format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
    if fraction != 0 {
        let digits = format!("{fraction:09}");
        out.push('.');
        out.push_str(digits.trim_end_matches('0'));
    }
    out.push('Z');
    out
}

/// Reads RFC 3339 with any offset. `Ok(None)` is the zero time; moments out of range become the nearest one in range.
pub(super) fn parse(text: &str) -> Result<Option<UnixNanos>, BadTime> {
    let bytes = text.as_bytes();
    let shape = |at: usize, c: u8| bytes.get(at) == Some(&c);
    if !(shape(4, b'-') && shape(7, b'-') && shape(10, b'T') && shape(13, b':') && shape(16, b':')) {
        return Err(BadTime);
    }
    let part = |from: usize, to: usize| number(bytes.get(from..to).ok_or(BadTime)?);
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let (hour, minute, second) = (part(11, 13)?, part(14, 16)?, part(17, 19)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return Err(BadTime);
    }
    let rest = bytes.get(19..).ok_or(BadTime)?;
    let (fraction, rest) = fraction(rest)?;
    let secs = days(year, month, day) * DAY_SECS + hour * 3600 + minute * 60 + second - offset(rest)?;
    let nanos = i128::from(secs) * NANOS + i128::from(fraction);
    if nanos == i128::from(days(1, 1, 1) * DAY_SECS) * NANOS {
        return Ok(None);
    }
    Ok(Some(nanos.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64))
}

/// The text is no RFC 3339 time.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadTime;

fn number(digits: &[u8]) -> Result<i64, BadTime> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(BadTime);
    }
    Ok(digits.iter().fold(0, |n, d| n * 10 + i64::from(d - b'0')))
}

fn fraction(rest: &[u8]) -> Result<(i64, &[u8]), BadTime> {
    let Some(tail) = rest.strip_prefix(b".") else {
        return Ok((0, rest));
    };
    let count = tail.iter().take_while(|c| c.is_ascii_digit()).count();
    let kept = count.min(9);
    let value = number(&tail[..kept])? * 10i64.pow(9 - kept as u32);
    Ok((value, &tail[count..]))
}

fn offset(rest: &[u8]) -> Result<i64, BadTime> {
    match rest {
        b"Z" => Ok(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let secs = number(&[*h1, *h2])? * 3600 + number(&[*m1, *m2])? * 60;
            Ok(if *sign == b'-' { -secs } else { secs })
        }
        _ => Err(BadTime),
    }
}

// Days since 1970-01-01 in the proleptic Gregorian calendar, counted in years that begin in March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year - 719_468
}

fn civil(days_since_1970: i64) -> (i64, i64, i64) {
    let shifted = days_since_1970 + 719_468;
    let mut year = shifted.div_euclid(146_097) * 400 + shifted.rem_euclid(146_097) / 366;
    while days(year + 1, 3, 1) <= days_since_1970 {
        year += 1;
    }
    let of_year = days_since_1970 - days(year, 3, 1);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        for (nanos, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_500_000_000, "1970-01-01T00:00:01.5Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00Z"),
            (1_795_268_970_277_885_458, "2026-11-21T13:49:30.277885458Z"),
            (i64::MAX, "2262-04-11T23:47:16.854775807Z"),
            (i64::MIN, "1677-09-21T00:12:43.145224192Z"),
        ] {
            assert_eq!(format(nanos), text);
            assert_eq!(parse(text), Ok(Some(nanos)));
        }
    }

    #[test]
    fn every_day_comes_back() {
        for day in (-106_000..106_000).step_by(13) {
            let (y, m, d) = civil(day);
            assert_eq!(days(y, m, d), day);
        }
    }

    #[test]
    fn offsets_zero_and_nonsense() {
        assert_eq!(parse(ZERO), Ok(None));
        assert_eq!(parse("2026-11-21T15:49:30.25+02:00"), parse("2026-11-21T13:49:30.250Z"));
        assert_eq!(parse("2026-11-21T11:49:30-02:30"), parse("2026-11-21T14:19:30Z"));
        assert_eq!(parse("9999-01-01T00:00:00Z"), Ok(Some(i64::MAX)));
        for bad in
            ["", "2026", "2026-13-01T00:00:00Z", "2026-11-21T13:49:30", "2026-11-21T13:49:30.Z", "2026-1a-21T13:49:30Z"]
        {
            assert_eq!(parse(bad), Err(BadTime), "{bad}");
        }
    }
}
