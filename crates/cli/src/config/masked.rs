//! Secrets are never printed.

use serde_json::Value;

/// Words that make the value of a setting a secret.
const SECRET: [&str; 6] = ["secret", "password", "token", "apikey", "privatekey", "credential"];

/// A value as it may be shown: secrets are covered, and addresses lose the password in them.
pub fn masked(key: &str, value: &Value) -> Value {
    let plain: String = key.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    match value {
        Value::String(text) if text.is_empty() => value.clone(),
        value if SECRET.iter().any(|word| plain.contains(word)) => cover(value),
        Value::String(text) => Value::String(without_password(text)),
        Value::Array(items) => items.iter().map(|item| masked(key, item)).collect(),
        other => other.clone(),
    }
}

fn cover(value: &Value) -> Value {
    if value.is_null() { Value::Null } else { Value::String("********".to_owned()) }
}

/// `scheme://user:password@host` → `scheme://user:********@host`
fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    match rest.split('/').next().and_then(|authority| authority.rsplit_once('@')) {
        Some((user, _)) if user.contains(':') => {
            let name = user.split(':').next().unwrap_or_default();
            format!("{scheme}://{name}:********{}", &rest[user.len()..])
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_called_a_secret_is_covered() {
        for key in ["auth.client_secret", "rcs.smppPassword", "a.api_key", "b.accessTokens"] {
            assert_eq!(masked(key, &json!("xyz")), "********", "{key}");
        }
        assert_eq!(masked("http.port", &json!(8088)), 8088);
        assert_eq!(masked("auth.client_secret", &json!("")), "", "one that is not set may be seen not to be set");
    }

    #[test]
    fn a_password_in_an_address_is_covered() {
        let shown = masked("store.url", &json!("postgres://pabal:s3cr3t@db:5432/pabal"));
        assert_eq!(shown, "postgres://pabal:********@db:5432/pabal");
        assert_eq!(masked("http.public_url", &json!("http://localhost:8088/a@b")), "http://localhost:8088/a@b");
    }
}
