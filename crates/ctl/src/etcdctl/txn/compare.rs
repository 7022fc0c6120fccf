//! Comparisons: `target("key") op "value"`.

use bytes::Bytes;
use proto::etcdserverpb::Compare;
use proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};

use crate::go::{parse_int, quote_bytes, quoted_prefix};

/// Reads one line. Errs with etcd's text.
pub fn parse(line: &str) -> Result<Compare, String> {
    let malformed = || format!("malformed comparison: {line}");
    let (target_name, rest) = line.split_once('(').ok_or_else(malformed)?;
    let parts = Parts::read(rest);
    let (Some(key), Some(operator), Some(value)) = (&parts.key, &parts.operator, &parts.value) else {
        return Err(format!("{}; got {target_name}{}", malformed(), parts.got()));
    };
    let result = match operator.as_str() {
        "=" => CompareResult::Equal,
        "!=" => CompareResult::NotEqual,
        ">" => CompareResult::Greater,
        "<" => CompareResult::Less,
        // etcd itself breaks down here.
        _ => return Err(format!("{} (unknown operator {operator})", malformed())),
    };
    let number = |base| {
        let text = String::from_utf8_lossy(value);
        parse_int(&text, base).map_err(|_| format!("invalid txn compare request: {line}"))
    };
    let (target, union) = match target_name.trim() {
        "val" | "value" => (CompareTarget::Value, TargetUnion::Value(value.clone())),
        "ver" | "version" => (CompareTarget::Version, TargetUnion::Version(number(10)?)),
        "c" | "create" => (CompareTarget::Create, TargetUnion::CreateRevision(number(10)?)),
        "m" | "mod" => (CompareTarget::Mod, TargetUnion::ModRevision(number(10)?)),
        // In hexadecimal, as leases are written everywhere; etcd itself breaks down here.
        "lease" => (CompareTarget::Lease, TargetUnion::Lease(number(16)?)),
        _ => return Err(format!("{} (unknown target {target_name})", malformed())),
    };
    Ok(Compare {
        result: result as i32,
        target: target as i32,
        key: key.clone(),
        target_union: Some(union),
        ..Compare::default()
    })
}

/// What could be read before the first surprise.
#[derive(Default)]
struct Parts {
    key: Option<Bytes>,
    operator: Option<String>,
    value: Option<Bytes>,
}

impl Parts {
    /// Reads `"key") op "value"`.
    fn read(text: &str) -> Parts {
        let mut parts = Parts::default();
        let Some((key, rest)) = quoted_prefix(text.trim_start()) else { return parts };
        parts.key = Some(key.into());
        let Some(rest) = rest.strip_prefix(')').and_then(after_blanks) else { return parts };
        let (operator, rest) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
        parts.operator = Some(operator.to_owned());
        let Some((value, _)) = after_blanks(rest).and_then(quoted_prefix) else { return parts };
        parts.value = Some(value.into());
        parts
    }

    fn got(&self) -> String {
        let key = quote_bytes(self.key.as_deref().unwrap_or_default());
        let value = quote_bytes(self.value.as_deref().unwrap_or_default());
        format!("({key}) {} {value}", self.operator.as_deref().unwrap_or_default())
    }
}

fn after_blanks(text: &str) -> Option<&str> {
    let rest = text.trim_start();
    (rest.len() < text.len() && !rest.is_empty()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_and_operator() {
        for (line, target, result, union) in [
            (r#"val("k") = "v""#, CompareTarget::Value, CompareResult::Equal, TargetUnion::Value("v".into())),
            (
                r#"value("k") != "\x41" rest"#,
                CompareTarget::Value,
                CompareResult::NotEqual,
                TargetUnion::Value("A".into()),
            ),
            (r#"ver("k") > "1""#, CompareTarget::Version, CompareResult::Greater, TargetUnion::Version(1)),
            (r#"c("k")  <  "2""#, CompareTarget::Create, CompareResult::Less, TargetUnion::CreateRevision(2)),
            (r#"mod("k") = "-3""#, CompareTarget::Mod, CompareResult::Equal, TargetUnion::ModRevision(-3)),
            (r#"lease("k") = "694d""#, CompareTarget::Lease, CompareResult::Equal, TargetUnion::Lease(0x694d)),
        ] {
            let compare = parse(line).unwrap();
            assert_eq!((compare.target, compare.result), (target as i32, result as i32), "{line}");
            assert_eq!(compare.target_union, Some(union), "{line}");
            assert_eq!(compare.key, "k");
        }
    }

    #[test]
    fn refusals() {
        for (line, text) in [
            ("k1 = v1", "malformed comparison: k1 = v1"),
            ("mod(k1) = 1", r#"malformed comparison: mod(k1) = 1; got mod("")  """#),
            (r#"mod("k1")="1""#, r#"malformed comparison: mod("k1")="1"; got mod("k1")  """#),
            (r#"mod("k1") = 1"#, r#"malformed comparison: mod("k1") = 1; got mod("k1") = """#),
            (r#"size("k1") = "1""#, r#"malformed comparison: size("k1") = "1" (unknown target size)"#),
            (r#"mod("k1") = "abc""#, r#"invalid txn compare request: mod("k1") = "abc""#),
            (r#"mod("k1") >= "1""#, r#"malformed comparison: mod("k1") >= "1" (unknown operator >=)"#),
        ] {
            assert_eq!(parse(line).unwrap_err(), text);
        }
    }
}
