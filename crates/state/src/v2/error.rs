//! What the v2 tree refuses, under the v2 API's own codes and texts (facts: api-v2, 6).

use super::json_out::Writer;

macro_rules! codes {
    ($($name:ident = $number:literal, $status:literal, $text:literal;)*) => {
        /// A code of the v2 API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "the message says it")]
        pub enum Code { $($name,)* }

        impl Code {
            /// The `errorCode` of the answer.
            pub const fn number(self) -> u32 {
                match self { $(Code::$name => $number,)* }
            }

            /// The `message` of the answer.
            pub const fn message(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }

            /// The HTTP status of the answer.
            pub const fn http_status(self) -> u16 {
                match self { $(Code::$name => $status,)* }
            }
        }
    };
}

codes! {
    KeyNotFound = 100, 404, "Key not found";
    CompareFailed = 101, 412, "Compare failed";
    NotFile = 102, 403, "Not a file";
    NotDirectory = 104, 400, "Not a directory";
    KeyExists = 105, 412, "Key already exists";
    RootReadOnly = 107, 400, "Root is read only";
    DirectoryNotEmpty = 108, 403, "Directory not empty";
    Unauthorized = 110, 401, "The request requires user authentication";
    PrevValueRequired = 201, 400, "PrevValue is Required in POST form";
    TtlNotANumber = 202, 400, "The given TTL in POST form is not a number";
    IndexNotANumber = 203, 400, "The given index in POST form is not a number";
    InvalidField = 209, 400, "Invalid field";
    InvalidForm = 210, 400, "Invalid POST form";
    RefreshValue = 211, 400, "Value provided on refresh";
    RefreshTtlRequired = 212, 400, "A TTL must be provided on refresh";
    RaftInternal = 300, 500, "Raft Internal Error";
    LeaderElect = 301, 500, "During Leader Election";
    WatcherCleared = 400, 400, "watcher is cleared due to etcd recovery";
    EventIndexCleared = 401, 400, "The event in requested index is outdated and cleared";
}

/// A refusal: code, what it is about, and the index of the tree at that moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {} ({cause}) [{index}]", code.number(), code.message())]
pub struct V2Error {
    pub code: Code,
    /// A path as the tree has it (`/1/...`), or a text; may be empty.
    pub cause: String,
    pub index: u64,
}

impl V2Error {
    /// The body of an HTTP answer, without the closing newline. `prefix` is taken off a cause that begins with it.
    pub fn to_json(&self, prefix: &str) -> Vec<u8> {
        let mut w = Writer::default();
        w.raw("{\"errorCode\":");
        w.number(u64::from(self.code.number()));
        w.raw(",\"message\":");
        w.string(self.code.message());
        let cause = self.cause.strip_prefix(prefix).unwrap_or(&self.cause);
        if !cause.is_empty() {
            w.raw(",\"cause\":");
            w.string(cause);
        }
        w.raw(",\"index\":");
        w.number(self.index);
        w.raw("}");
        w.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_is_taken_off_the_cause() {
        let e = V2Error { code: Code::KeyNotFound, cause: "/1/a".into(), index: 7 };
        assert_eq!(
            String::from_utf8(e.to_json("/1")).unwrap(),
            r#"{"errorCode":100,"message":"Key not found","cause":"/a","index":7}"#
        );
        let e = V2Error { code: Code::NotFile, cause: "/1".into(), index: 7 };
        assert_eq!(
            String::from_utf8(e.to_json("/1")).unwrap(),
            r#"{"errorCode":102,"message":"Not a file","index":7}"#
        );
    }
}
