//! The downgrade job, as bucket `cluster` keeps it.

use serde::{Deserialize, Serialize};

use super::{Downgrade, Version};

#[derive(Serialize, Deserialize)]
struct Form {
    #[serde(rename = "target-version", default)]
    target: String,
    #[serde(default)]
    enabled: bool,
}

impl Downgrade {
    /// The job that an entry sets; a target that is no version counts as none.
    pub(crate) fn set(enabled: bool, target: &str) -> Downgrade {
        Downgrade { target: target.parse::<Version>().ok().filter(|_| enabled) }
    }

    pub(crate) fn to_json(self) -> Vec<u8> {
        let target = self.target.map(|v| v.to_string()).unwrap_or_default();
        serde_json::to_vec(&Form { target, enabled: self.enabled() }).expect("strings and booleans always encode")
    }

    pub(crate) fn from_json(json: &[u8]) -> Result<Downgrade, serde_json::Error> {
        let form: Form = serde_json::from_slice(json)?;
        Ok(Downgrade::set(form.enabled, &form.target))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_form() {
        let on = Downgrade::set(true, "3.5.0");
        assert_eq!(on.to_json(), br#"{"target-version":"3.5.0","enabled":true}"#);
        assert_eq!(Downgrade::default().to_json(), br#"{"target-version":"","enabled":false}"#);
        assert_eq!(Downgrade::from_json(&on.to_json()).unwrap(), on);
        assert_eq!(Downgrade::set(false, "3.5.0"), Downgrade::default());
    }
}
