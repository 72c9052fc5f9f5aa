//! JSON Merge Patch (RFC 7396).

use serde_json::Value;

/// Applies a patch: members are set, `null` removes them, anything else replaces.
pub(crate) fn apply(target: &mut Value, patch: &Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (name, value) in patch {
                if value.is_null() {
                    target.shift_remove(name);
                } else {
                    apply(target.entry(name.clone()).or_insert(Value::Null), value);
                }
            }
        }
        (target, patch) => {
            *target = patch.clone();
            // A new object must not contain the patch's `null`s.
            if let Value::Object(members) = target {
                members.retain(|_, value| !value.is_null());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_sets_and_removes_members() {
        let mut body = json!({"a": 1, "b": {"c": 2, "d": 3}, "e": [1]});
        apply(&mut body, &json!({"a": null, "b": {"c": 9}, "e": [2], "f": {"g": null, "h": 1}}));
        assert_eq!(body, json!({"b": {"c": 9, "d": 3}, "e": [2], "f": {"h": 1}}));
    }
}
