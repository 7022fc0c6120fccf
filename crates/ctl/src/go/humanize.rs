//! Sizes for people: `20 kB`, `2.1 GB`, in powers of 1000.

const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];

/// One digit after the point below ten, none above.
pub fn humanize_bytes(bytes: u64) -> String {
    if bytes < 10 {
        return format!("{bytes} B");
    }
    let exponent = (bytes.ilog10() / 3) as usize;
    let tenths = bytes as f64 / 1000f64.powi(exponent as i32) * 10.0;
    let value = (tenths + 0.5).floor() / 10.0;
    if value < 10.0 { format!("{value:.1} {}", UNITS[exponent]) } else { format!("{value:.0} {}", UNITS[exponent]) }
}

#[cfg(test)]
mod tests {
    use super::humanize_bytes;

    #[test]
    fn sizes_as_etcd_prints_them() {
        for (bytes, text) in [
            (0, "0 B"),
            (9, "9 B"),
            (10, "10 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (20_480, "20 kB"),
            (4_000_000, "4.0 MB"),
            (2_147_483_648, "2.1 GB"),
            (8_589_934_592, "8.6 GB"),
            (u64::MAX, "18 EB"),
        ] {
            assert_eq!(humanize_bytes(bytes), text);
        }
    }
}
