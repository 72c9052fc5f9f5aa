//! Settings as a tree of named values, whatever wrote them.

use std::collections::BTreeMap;

use serde_json::Value;

/// Values by dotted key. An empty section is a value too, so that it can be seen.
pub(super) fn leaves(tree: &Value) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    collect(&mut found, String::new(), tree);
    found
}

fn collect(found: &mut BTreeMap<String, Value>, key: String, tree: &Value) {
    match tree {
        Value::Object(fields) if key.is_empty() || !fields.is_empty() => {
            for (name, value) in fields {
                let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                collect(found, key, value);
            }
        }
        value => {
            found.insert(key, value.clone());
        }
    }
}

/// Lays one tree over another: sections are merged, everything else is replaced.
pub(super) fn lay_over(below: &mut Value, above: Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (name, value) in above {
                lay_over(below.entry(name).or_insert(Value::Null), value);
            }
        }
        (below, above) => *below = above,
    }
}

/// A tree with one value in it.
pub(super) fn single(path: &[String], value: Value) -> Value {
    path.iter().rev().fold(value, |inner, name| Value::Object([(name.clone(), inner)].into_iter().collect()))
}

/// Where a setting stands whose name was written without regard to case and joints: `limits.batch_items` for
/// `LIMITS`, `BATCH_ITEMS`, and `rcs.validityMs` for `RCS`, `VALIDITY_MS`. What is not there keeps its own name.
pub(super) fn resolve(tree: &Value, words: &[&str]) -> Vec<String> {
    let plain = |name: &str| name.replace(['_', '-'], "").to_lowercase();
    let mut at = Some(tree);
    let mut path = Vec::new();
    for word in words {
        let fields = at.and_then(Value::as_object);
        let known = fields.and_then(|fields| fields.iter().find(|(name, _)| plain(name) == plain(word)));
        path.push(known.map_or_else(|| word.to_lowercase(), |(name, _)| name.clone()));
        at = known.map(|(_, value)| value);
    }
    path
}

/// The value at a path.
pub(super) fn get<'a>(tree: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(tree, |at, name| at.get(name))
}

/// The known key nearest to a mistyped one.
pub(super) fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let close = known.into_iter().map(|key| (distance(wrong, key), key)).min_by_key(|(distance, _)| *distance);
    close.filter(|(distance, _)| *distance <= 1 + wrong.len() / 4).map(|(_, key)| key)
}

/// Letters to be changed, added or left out to make one of the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<_> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.chars().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], line + 1);
        for column in 0..other.len() {
            let changed = corner + usize::from(other[column] != letter);
            corner = row[column + 1];
            row[column + 1] = changed.min(corner + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sections_are_merged_and_values_replaced() {
        let mut tree = json!({"http": {"host": "a", "port": 1}, "list": [1, 2]});
        lay_over(&mut tree, json!({"http": {"port": 2}, "list": [3]}));
        assert_eq!(tree, json!({"http": {"host": "a", "port": 2}, "list": [3]}));
    }

    #[test]
    fn a_name_is_found_whatever_its_case() {
        let tree = json!({"rcs": {"validityMs": 1}});
        assert_eq!(resolve(&tree, &["RCS", "VALIDITY_MS"]), ["rcs", "validityMs"]);
        assert_eq!(resolve(&tree, &["RCS", "NO_SUCH"]), ["rcs", "no_such"]);
    }

    #[test]
    fn a_slip_of_the_fingers_has_a_neighbour_and_nonsense_has_none() {
        assert_eq!(nearest("http.prot", ["http.host", "http.port"]), Some("http.port"));
        assert_eq!(nearest("zzz", ["http.host", "http.port"]), None);
    }
}
