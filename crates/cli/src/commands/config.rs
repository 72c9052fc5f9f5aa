//! `pabal config`: what is in force, and from where. Secrets are covered.

use serde_json::{Value, json};

use crate::args;
use crate::config::{InForce, masked};
use crate::failed::Failed;
use crate::show;

/// Prints the settings.
pub fn config(args: &args::Config, force: &InForce) -> Result<u8, Failed> {
    let shown = force.values.iter().map(|(key, value)| (key, masked(key, value), force.source(key)));
    if args.json {
        let all: serde_json::Map<_, _> =
            shown.map(|(key, value, source)| (key.clone(), json!({"value": value, "source": source.to_string()}))).collect();
        show::print(&serde_json::to_string_pretty(&all).unwrap_or_default())?;
        return Ok(0);
    }
    let rows = shown.map(|(key, value, source)| [key.clone(), plain(&value), source.to_string()]);
    show::print(&show::table(["setting", "value", "from"], rows))?;
    Ok(0)
}

/// A value as it would stand in the file.
fn plain(value: &Value) -> String {
    match value {
        Value::Object(fields) if fields.is_empty() => "(none)".to_owned(),
        other => other.to_string(),
    }
}
