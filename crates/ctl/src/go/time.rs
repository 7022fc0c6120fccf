//! The moment, as log lines write it.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now in UTC: `2006-01-02T15:04:05.000000Z`; without the fraction if `micros` is false.
pub fn timestamp(micros: bool) -> String {
    // A clock before 1970 shows as 1970.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let text = utc(now.as_secs());
    if micros { format!("{text}.{:06}Z", now.subsec_micros()) } else { format!("{text}Z") }
}

/// Date and time of a second since 1970.
fn utc(secs: u64) -> String {
    let (days, second) = (secs / 86_400, secs % 86_400);
    // Years counted from March have the leap day last.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn dates() {
        assert_eq!(utc(0), "1970-01-01T00:00:00");
        assert_eq!(utc(951_782_400), "2000-02-29T00:00:00");
        assert_eq!(utc(1_795_267_091), "2026-11-21T13:18:11");
        assert_eq!(utc(4_102_444_799), "2099-12-31T23:59:59");
    }
}
