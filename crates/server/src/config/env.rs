//! Settings from `ETCD_*` variables.

use super::former;
use super::load::{Failure, Notice, Severity};
use super::number;
use super::settings::Settings;
use super::table::FLAGS;

const PREFIX: &str = "ETCD_";
/// These mean something on the command line only.
const SPECIAL: [&str; 1] = ["ETCD_VERSION"];

/// Takes the variables of all flags that the command line left alone; complains about the rest.
pub fn apply(
    variables: &[(String, String)],
    settings: &mut Settings,
    notices: &mut Vec<Notice>,
) -> Result<(), Failure> {
    let compat = compat_version(variables, settings);
    let mut used = Vec::new();
    let mut wrong = None;
    let mut places: Vec<usize> = (0..FLAGS.len()).collect();
    places.sort_by_key(|place| FLAGS[*place].name);
    for place in places {
        let name = FLAGS[place].variable();
        if former::is_unknown(FLAGS[place].name, &compat) {
            continue;
        }
        let Some((_, value)) = variables.iter().find(|(key, value)| *key == name && !value.is_empty()) else {
            continue;
        };
        if SPECIAL.contains(&name.as_str()) {
            notices.push(
                Notice::new(Severity::Warn, "cannot set special environment variable")
                    .with("key", &name)
                    .with("value", value),
            );
            used.push((name, true));
            continue;
        }
        if settings.is_given_at(place) {
            used.push((name, false));
            continue;
        }
        // Of several wrong values the last one is shown.
        if let Err(why) = settings.set(place, value) {
            wrong = Some(format!("invalid value {} for {name}: {why}", number::quote(value)));
        }
        notices.push(
            Notice::new(Severity::Info, "recognized and used environment variable")
                .with("variable-name", &name)
                .with("variable-value", value),
        );
        used.push((name, true));
    }
    check_rest(variables, &used, notices)?;
    wrong.map_or(Ok(()), |why| Err(Failure::verify(why)))
}

/// The release that decides which names are known.
fn compat_version(variables: &[(String, String)], settings: &Settings) -> String {
    let given = variables.iter().find(|(name, value)| name == "ETCD_COMPAT_VERSION" && !value.is_empty());
    let given = given.filter(|_| !settings.is_given("compat-version"));
    given.map_or_else(|| settings.text("compat-version").to_owned(), |(_, value)| value.clone())
}

/// A variable beside its flag ends the program, an unknown one is only named.
fn check_rest(
    variables: &[(String, String)],
    used: &[(String, bool)],
    notices: &mut Vec<Notice>,
) -> Result<(), Failure> {
    for (name, value) in variables.iter().filter(|(name, _)| name.starts_with(PREFIX)) {
        match used.iter().find(|(known, _)| known == name) {
            Some((_, true)) => {}
            Some((_, false)) => {
                let text = "conflicting environment variable is shadowed by corresponding command-line flag \
                            (either unset environment variable or disable flag))";
                return Err(Failure::Fatal(Notice::new(Severity::Fatal, text).with("environment-variable", name)));
            }
            None => notices.push(
                Notice::new(Severity::Warn, "unrecognized environment variable")
                    .with("environment-variable", &format!("{name}={value}")),
            ),
        }
    }
    Ok(())
}
