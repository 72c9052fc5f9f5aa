//! `pabal config`: the configuration in effect, and where each value comes from. Secrets are masked.

use serde_json::{Value, json};

use crate::args;
use crate::config::{EffectiveConfig, masked};
use crate::failed::Failed;
use crate::show;

/// Prints the settings.
pub fn config(args: &args::Config, effective: &EffectiveConfig) -> Result<u8, Failed> {
    let shown = effective.values.iter().map(|(key, value)| (key, masked(key, value), effective.source(key)));
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
