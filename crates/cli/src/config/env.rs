//! `PABAL_*` in the environment: `PABAL_HTTP__PORT=9000` is `http.port`, and `…_FILE` reads the value from a file.

use serde_json::Value;

use super::tree;
use crate::failed::Failed;

/// Variables of the commands themselves, which are no settings.
const NOT_SETTINGS: [&str; 2] = ["PABAL_CONFIG", "PABAL_URL"];

/// A value that the environment sets.
pub(super) struct FromEnv {
    pub variable: String,
    pub path: Vec<String>,
    pub value: Value,
}

/// Reads the settings among these variables; `known` is the tree of all settings as they stand.
pub(super) fn read(variables: &[(String, String)], known: &Value) -> Result<Vec<FromEnv>, Failed> {
    let mut found = Vec::new();
    for (variable, text) in variables.iter().filter(|(name, _)| is_setting(name)) {
        let words: Vec<_> = variable.trim_start_matches("PABAL_").split("__").collect();
        let path = tree::resolve(known, &words);
        let (path, text) = match from_file(known, &path, &words) {
            Some(path) => {
                let read = std::fs::read_to_string(text);
                (path, read.map_err(|error| Failed::config(format!("{variable}: {text} cannot be read: {error}")))?)
            }
            None => (path, text.clone()),
        };
        let value = value(text.trim_end_matches('\n'), tree::get(known, &path));
        found.push(FromEnv { variable: variable.clone(), path, value });
    }
    Ok(found)
}

fn is_setting(name: &str) -> bool {
    name.starts_with("PABAL_") && !NOT_SETTINGS.contains(&name) && !is_service_link(name)
}

/// Kubernetes gives every pod variables for a Service called `pabal`: `PABAL_SERVICE_HOST`, `PABAL_PORT_8088_TCP_ADDR` …
/// They are no settings, and must not stop the process.
fn is_service_link(name: &str) -> bool {
    let rest = name.trim_start_matches("PABAL_");
    let port = rest == "PORT" || rest.starts_with("PORT_") || rest.contains("_PORT_") || rest.ends_with("_PORT");
    !rest.contains("__") && (port || rest.contains("SERVICE_HOST") || rest.contains("SERVICE_PORT"))
}

/// The setting that a `…_FILE` variable means, unless there is a setting of that very name.
fn from_file(known: &Value, path: &[String], words: &[&str]) -> Option<Vec<String>> {
    if tree::get(known, path).is_some() {
        return None;
    }
    let (last, first) = words.split_last()?;
    let words: Vec<_> = first.iter().copied().chain([last.strip_suffix("_FILE")?]).collect();
    let path = tree::resolve(known, &words);
    tree::get(known, &path).is_some().then_some(path)
}

/// Text becomes what the setting is: text stays text where it is text, a list may be written with commas.
fn value(text: &str, now: Option<&Value>) -> Value {
    let parsed = || serde_json::from_str::<Value>(text).ok().filter(|value| !value.is_null());
    match now {
        Some(Value::String(_)) => Value::String(text.to_owned()),
        Some(Value::Array(_)) => parsed().filter(Value::is_array).unwrap_or_else(|| {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            parts.map(|part| serde_json::from_str(part).unwrap_or_else(|_| Value::String(part.to_owned()))).collect()
        }),
        _ => parsed().unwrap_or_else(|| Value::String(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read_one(name: &str, text: &str) -> Option<(Vec<String>, Value)> {
        let known = json!({"zone": "UTC", "http": {"port": 1, "host": "h"}, "list": ["a"], "pauses": [1]});
        let found = read(&[(name.to_owned(), text.to_owned())], &known).unwrap();
        found.into_iter().next().map(|one| (one.path, one.value))
    }

    #[test]
    fn two_underscores_are_a_dot() {
        let path = vec!["http".to_owned(), "port".to_owned()];
        assert_eq!(read_one("PABAL_HTTP__PORT", "9000"), Some((path, json!(9000))));
        assert_eq!(read_one("PABAL_ZONE", "12"), Some((vec!["zone".to_owned()], json!("12"))), "text stays text");
    }

    #[test]
    fn a_list_may_be_written_with_commas() {
        assert_eq!(read_one("PABAL_LIST", "a, b").unwrap().1, json!(["a", "b"]));
        assert_eq!(read_one("PABAL_PAUSES", "1,2").unwrap().1, json!([1, 2]));
        assert_eq!(read_one("PABAL_LIST", "[\"c\"]").unwrap().1, json!(["c"]));
    }

    #[test]
    fn a_value_may_stand_in_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "secret\n").unwrap();
        assert_eq!(read_one("PABAL_HTTP__HOST_FILE", file.path().to_str().unwrap()).unwrap().1, json!("secret"));
    }

    #[test]
    fn the_links_of_a_kubernetes_service_are_no_settings() {
        for name in
            ["PABAL_SERVICE_HOST", "PABAL_SERVICE_PORT_HTTP", "PABAL_PORT", "PABAL_PORT_8088_TCP", "PABAL_RCS_PORT_8082_TCP_ADDR"]
        {
            assert_eq!(read_one(name, "tcp://10.0.0.1:8088"), None, "{name}");
        }
    }
}
