//! The text format 0.0.4 of Prometheus, with numbers as Go writes them.

use std::fmt::Write as _;

use super::buckets::Buckets;
use super::cells::Histogram;

/// What kind of numbers a family has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Appends the two lines above a family.
pub fn header(out: &mut String, name: &str, help: &str, kind: Kind) {
    let kind = match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    put(out, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
}

/// Appends one series; `labels` are `a="b",c="d"` or empty.
pub fn sample(out: &mut String, name: &str, labels: &str, value: f64) {
    let value = number(value);
    match labels {
        "" => put(out, format_args!("{name} {value}\n")),
        _ => put(out, format_args!("{name}{{{labels}}} {value}\n")),
    }
}

/// Appends the lines of one histogram.
pub fn histogram(out: &mut String, name: &str, labels: &str, histogram: &Histogram) {
    buckets(out, name, labels, histogram.buckets(), &histogram.counts(), histogram.sum());
}

/// The same from counts, one more than there are bounds, and a sum.
pub fn buckets(out: &mut String, name: &str, labels: &str, buckets: &Buckets, counts: &[u64], sum: f64) {
    let comma = if labels.is_empty() { "" } else { "," };
    let mut total = 0;
    for (bound, count) in buckets.bounds.iter().zip(counts) {
        total += count;
        put(out, format_args!("{name}_bucket{{{labels}{comma}le=\"{}\"}} {}\n", number(*bound), number(total as f64)));
    }
    total += counts.last().copied().unwrap_or(0);
    let all = number(total as f64);
    put(out, format_args!("{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {all}\n"));
    sample(out, &format!("{name}_sum"), labels, sum);
    sample(out, &format!("{name}_count"), labels, total as f64);
}

/// One label; values are escaped.
pub fn label(name: &str, value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"");
    format!("{name}=\"{value}\"")
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String does not fail.
    out.write_fmt(text).unwrap_or_default();
}

/// A number in the shortest form by the rules of Go's `%g`: with an exponent below 1e-04 and from 1e+06 on.
pub fn number(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.into();
    }
    if value.is_nan() {
        return "NaN".into();
    }
    let scientific = format!("{value:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    match exponent.parse::<i32>() {
        Ok(exponent) if exponent < -4 => format!("{digits}e-{:02}", exponent.abs()),
        Ok(exponent) if exponent >= 6 => format!("{digits}e+{exponent:02}"),
        _ => format!("{value}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_gos() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (-1.0, "-1"),
            (0.001, "0.001"),
            (0.00001, "1e-05"),
            (123_456.0, "123456"),
            (1_048_576.0, "1.048576e+06"),
            (2_147_483_648.0, "2.147483648e+09"),
            (819_200.0, "819200"),
            (1_000_000.0, "1e+06"),
            (18_446_744_073_709_551_615.0, "1.8446744073709552e+19"),
            (52.4288, "52.4288"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn labels_are_escaped() {
        assert_eq!(label("a", "x\"y\\z\n"), "a=\"x\\\"y\\\\z\\n\"");
    }
}
