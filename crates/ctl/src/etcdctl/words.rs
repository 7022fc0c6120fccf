//! Lines of the little languages of `txn` and `watch -i`, split into words.

use crate::go::quoted_prefix;

/// Words are separated by blanks. Single quotes keep everything as it is, double quotes hold Go's escapes; both count only
/// at the beginning of a word. A quote that is not closed is dropped, as etcd drops it.
pub fn words(line: &str) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        match first {
            c if c.is_whitespace() => rest = &rest[c.len_utf8()..],
            '\'' => match rest[1..].split_once('\'') {
                Some((word, after)) => {
                    words.push(word.as_bytes().to_vec());
                    rest = after;
                }
                None => rest = &rest[1..],
            },
            '"' => match quoted_prefix(rest) {
                Some((word, after)) => {
                    words.push(word);
                    rest = after;
                }
                None => rest = &rest[1..],
            },
            _ => {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                words.push(rest.as_bytes()[..end].to_vec());
                rest = &rest[end..];
            }
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn words_with_quotes() {
        let shown = |line| -> Vec<String> {
            words(line).into_iter().map(|word| String::from_utf8_lossy(&word).into_owned()).collect()
        };
        assert_eq!(shown(r#"put q1 "a b\tc""#), ["put", "q1", "a b\tc"]);
        assert_eq!(shown(r"put q2 'single \quoted'  x"), ["put", "q2", r"single \quoted", "x"]);
        assert_eq!(shown(r#"put k "" ''"#), ["put", "k", "", ""]);
        assert_eq!(shown("get a=\"b c\""), ["get", "a=\"b", "c\""].map(|w| w.trim_end_matches('x').to_owned()));
        assert_eq!(shown(""), Vec::<String>::new());
        assert_eq!(words(r#""\xff""#), [b"\xff"]);
    }
}
