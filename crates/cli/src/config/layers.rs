//! Defaults ← file ← environment ← flags, and from which of them each value came.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use kernel::System;
use kernel::settings::SettingsError;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Config, bind, env, tree};
use crate::failed::Failed;

/// Read where it stands in the working directory, if it is there.
const FILE: &str = "pabal.toml";

/// What flags of a command say about settings; only what was given.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--config`
    pub file: Option<PathBuf>,
    /// `--data`
    pub data: Option<PathBuf>,
    /// `--host`
    pub host: Option<String>,
    /// `--port`
    pub port: Option<u16>,
    /// `--dev`
    pub dev: bool,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "from", content = "name")]
pub enum Source {
    /// The program.
    Default,
    /// A file.
    File(PathBuf),
    /// A variable.
    Env(String),
    /// A flag.
    Flag(&'static str),
}

impl std::fmt::Display for Source {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => write!(out, "default"),
            Self::File(path) => write!(out, "{}", path.display()),
            Self::Env(variable) => write!(out, "{variable}"),
            Self::Flag(flag) => write!(out, "{flag}"),
        }
    }
}

/// The configuration in effect.
#[derive(Debug)]
pub struct EffectiveConfig {
    /// Ours, typed.
    pub config: Config,
    /// All of them by dotted key, the systems' too.
    pub values: BTreeMap<String, Value>,
    /// Where what is not a default comes from, by dotted key.
    pub sources: BTreeMap<String, Source>,
}

impl EffectiveConfig {
    /// Where a value comes from.
    pub fn source(&self, key: &str) -> &Source {
        self.sources.get(key).unwrap_or(&Source::Default)
    }
}

/// Merges the layers, and configures each system with the section of its name.
pub fn load(flags: &Flags, variables: &[(String, String)], systems: &mut [System]) -> Result<EffectiveConfig, Failed> {
    let mut draft = Draft::new(systems)?;
    if let Some(path) = file(flags, variables) {
        draft.lay(&Source::File(path.clone()), parse(&path)?)?;
    }
    for one in env::read(variables, &draft.tree)? {
        draft.lay(&Source::Env(one.variable), tree::single(&one.path, one.value))?;
    }
    for (flag, value) in given(flags) {
        draft.lay(&Source::Flag(flag), value)?;
    }
    let config = draft.typed("the settings")?;
    bind::check(&config).map_err(Failed::config)?;
    known_ports(&config, systems)?;
    for system in systems {
        if system.settings_def.is_some() {
            let value = draft.tree.get(system.name).cloned().unwrap_or_else(|| json!({}));
            system.configure(value).map_err(|error| draft.unfit(system.name, &error))?;
        }
    }
    Ok(EffectiveConfig { config, values: tree::leaves(&draft.tree), sources: draft.sources })
}

/// A rate for an unknown port would silently limit nothing.
fn known_ports(config: &Config, systems: &[System]) -> Result<(), Failed> {
    let services = || systems.iter().flat_map(|system| &system.services);
    let ports = || services().flat_map(|service| &service.aggregates).map(|def| def.of.port()).filter(|port| !port.is_empty());
    let Some(unknown) = config.ports.keys().find(|name| !ports().any(|port| port == name.as_str())) else { return Ok(()) };
    let known: BTreeSet<_> = ports().collect();
    let known = known.into_iter().collect::<Vec<_>>().join(", ");
    Err(Failed::config(format!("`ports.{unknown}`: there is no port of that name; there is {known}")))
}

fn file(flags: &Flags, variables: &[(String, String)]) -> Option<PathBuf> {
    let named = variables.iter().find(|(name, _)| name == "PABAL_CONFIG").map(|(_, path)| PathBuf::from(path));
    // A file that was named must be there; the one that merely may stand here need not.
    flags.file.clone().or(named).or_else(|| Path::new(FILE).exists().then(|| PathBuf::from(FILE)))
}

fn parse(path: &Path) -> Result<Value, Failed> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| Failed::config(format!("{shown} cannot be read: {error}")))?;
    let table: toml::Table = toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(0, |span| text[..span.start.min(text.len())].lines().count().max(1));
        Failed::config(format!("{shown}, line {line}: {}", error.message().replace('\n', " ")))
    })?;
    serde_json::to_value(table).map_err(|error| Failed::config(format!("{shown}: {error}")))
}

fn given(flags: &Flags) -> Vec<(&'static str, Value)> {
    let mut given = Vec::new();
    if let Some(dir) = &flags.data {
        given.push(("--data", json!({"data": {"dir": dir}})));
    }
    if let Some(host) = &flags.host {
        given.push(("--host", json!({"http": {"host": host}})));
    }
    if let Some(port) = flags.port {
        given.push(("--port", json!({"http": {"port": port}})));
    }
    if flags.dev {
        given.push(("--dev", json!({"dev": true})));
    }
    given
}

struct Draft {
    tree: Value,
    sources: BTreeMap<String, Source>,
    systems: Vec<&'static str>,
}

impl Draft {
    fn new(systems: &[System]) -> Result<Self, Failed> {
        let mut tree = serde_json::to_value(Config::default()).map_err(|error| Failed::config(error.to_string()))?;
        for system in systems {
            if tree.get(system.name).is_some() {
                return Err(Failed::config(format!("a system cannot be called `{}`: that section is ours", system.name)));
            }
            if let Some(def) = &system.settings_def {
                tree[system.name] = def.value.clone();
            }
        }
        Ok(Self { tree, sources: BTreeMap::new(), systems: systems.iter().map(|system| system.name).collect() })
    }

    /// Lays one more layer over the others; what is wrong with it is said in its name.
    fn lay(&mut self, source: &Source, layer: Value) -> Result<(), Failed> {
        let keys = tree::leaves(&layer);
        for key in keys.keys() {
            self.known(source, key)?;
        }
        tree::lay_over(&mut self.tree, layer);
        self.sources.extend(keys.into_keys().map(|key| (key, source.clone())));
        self.typed(&source.to_string()).map(drop)
    }

    fn known(&self, source: &Source, key: &str) -> Result<(), Failed> {
        let path: Vec<_> = key.split('.').map(str::to_owned).collect();
        let ours = path[0].as_str();
        let named_by_people = ["ports", "cluster.services", "kafka.topics.generation"];
        let named = named_by_people.iter().any(|section| key.strip_prefix(section).is_some_and(|rest| rest.starts_with('.')));
        let free = ours == "ports" || named || self.systems.contains(&ours);
        if free || tree::get(&self.tree, &path).is_some() {
            return Ok(());
        }
        let all = tree::leaves(&self.tree);
        let hint = tree::nearest(key, all.keys().map(String::as_str));
        let hint = hint.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        Err(Failed::config(format!("{source}: there is no setting `{key}`{hint}")))
    }

    /// A system does not take what is set under its name: the setting is named, and where it was set.
    fn unfit(&self, system: &str, error: &SettingsError) -> Failed {
        let key = format!("{system}.{}", error.key);
        let set = key.split('[').next().unwrap_or(&key);
        let source = self.sources.get(set).or_else(|| {
            let within = |other: &str| other.strip_prefix(set).is_some_and(|rest| rest.starts_with(['.', '[']));
            self.sources.iter().find_map(|(other, source)| within(other).then_some(source))
        });
        let source = source.map(|source| format!("{source}: ")).unwrap_or_default();
        Failed::config(format!("{source}`{key}`: {}", error.cause))
    }

    fn typed(&self, whose: &str) -> Result<Config, Failed> {
        let mut ours = self.tree.clone();
        if let Some(fields) = ours.as_object_mut() {
            fields.retain(|name, _| !self.systems.contains(&name.as_str()));
        }
        serde_path_to_error::deserialize(ours).map_err(|error| {
            let key = error.path().to_string();
            Failed::config(format!("{whose}: `{key}`: {}", error.into_inner()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn with_file(text: &str, pairs: &[(&str, &str)], flags: &Flags) -> Result<EffectiveConfig, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("some.toml");
        std::fs::write(&path, text).unwrap();
        let flags = Flags { file: Some(path), ..flags.clone() };
        load(&flags, &variables(pairs), &mut [rcs::system()]).map_err(|failed| failed.to_string())
    }

    #[test]
    fn the_later_layer_wins_and_every_value_knows_where_it_comes_from() {
        let file = "[http]\nport = 1\nhost = \"localhost\"\n[log]\nlevel = \"warn\"";
        let flags = Flags { port: Some(3), ..Flags::default() };
        let effective = with_file(file, &[("PABAL_HTTP__PORT", "2"), ("PABAL_LOG__LEVEL", "debug")], &flags).unwrap();
        assert_eq!((effective.config.http.port, effective.config.log.level.as_str()), (3, "debug"));
        assert_eq!(effective.source("http.port"), &Source::Flag("--port"));
        assert_eq!(effective.source("log.level"), &Source::Env("PABAL_LOG__LEVEL".into()));
        assert!(matches!(effective.source("http.host"), Source::File(_)));
        assert_eq!(effective.source("zone"), &Source::Default);
    }

    #[test]
    fn a_wrong_key_is_an_error_that_names_it() {
        let error = with_file("[http]\nprot = 1", &[], &Flags::default()).unwrap_err();
        assert!(error.ends_with("some.toml: there is no setting `http.prot`; did you mean `http.port`?"), "{error}");
        let error = with_file("", &[("PABAL_HTPP__PORT", "1")], &Flags::default()).unwrap_err();
        assert_eq!(error, "PABAL_HTPP__PORT: there is no setting `htpp.port`; did you mean `http.port`?");
    }

    #[test]
    fn a_value_of_the_wrong_type_is_an_error_that_names_key_and_place() {
        let error = with_file("[http]\nport = \"many\"", &[], &Flags::default()).unwrap_err();
        assert!(error.contains("some.toml: `http.port`: invalid type"), "{error}");
        let error = with_file("[ports.handset.lanes.kt]\nrate = 2", &[], &Flags::default()).unwrap_err();
        assert!(error.contains("`ports.handset.lanes.kt.rate`") && error.contains("per_second"), "{error}");
        let error = with_file("a = \n", &[], &Flags::default()).unwrap_err();
        assert!(error.contains("some.toml, line 1:"), "{error}");
    }

    #[test]
    fn rates_of_ports_are_settings_by_name() {
        let effective = with_file("[ports.handset.lanes.kt]\nper_second = 5\nburst = 2", &[], &Flags::default()).unwrap();
        let lane = &effective.config.ports["handset"].lanes["kt"];
        assert!((lane.per_second - 5.0).abs() < f64::EPSILON && (lane.burst - 2.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_rate_for_a_port_that_nobody_has_is_an_error() {
        let error = with_file("[ports.handest.lanes.kt]\nper_second = 5", &[], &Flags::default()).unwrap_err();
        assert_eq!(error, "`ports.handest`: there is no port of that name; there is handset");
    }

    #[test]
    fn what_stands_under_a_systems_name_is_the_systems() {
        let mut systems = [rcs::system()];
        let pairs = variables(&[("PABAL_RCS__NIGHT", "refuse"), ("PABAL_RCS__VALIDITY_MS", "5000")]);
        let flags = Flags { file: None, ..Flags::default() };
        let effective = load(&flags, &pairs, &mut systems).unwrap();
        assert_eq!(effective.values["rcs.night"], "refuse");
        assert_eq!(systems[0].settings_def.as_ref().unwrap().value["validityMs"], 5000);
        let error = with_file("[rcs]\nnigth = \"hold\"", &[], &Flags::default()).unwrap_err();
        assert!(error.contains("some.toml: `rcs.nigth`: unknown field"), "{error}");
    }

    #[test]
    fn a_systems_setting_of_the_wrong_type_is_an_error_that_names_key_and_place() {
        let error = with_file("[rcs]\nvalidityMs = \"long\"", &[], &Flags::default()).unwrap_err();
        assert!(error.contains("some.toml: `rcs.validityMs`: invalid type"), "{error}");
        let error = with_file("[rcs.simulator]\noffMs = -1", &[], &Flags::default()).unwrap_err();
        assert!(error.contains("some.toml: `rcs.simulator.offMs`: invalid value"), "{error}");
        let error = with_file("[rcs]\nretryDelaysMs = [1, \"two\"]", &[], &Flags::default()).unwrap_err();
        assert!(error.contains("some.toml: `rcs.retryDelaysMs[1]`: invalid type"), "{error}");
        let error = with_file("", &[("PABAL_RCS__NIGHT", "never")], &Flags::default()).unwrap_err();
        assert!(error.starts_with("PABAL_RCS__NIGHT: `rcs.night`: unknown variant"), "{error}");
    }

    #[test]
    fn a_file_that_was_named_must_be_there() {
        let flags = Flags { file: Some("no/such.toml".into()), ..Flags::default() };
        let error = load(&flags, &[], &mut []).unwrap_err().to_string();
        assert!(error.starts_with("no/such.toml cannot be read"), "{error}");
    }
}
