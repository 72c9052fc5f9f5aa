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

/// `scheme://user:password@host?password=…` → `scheme://user:********@host?password=********`, and `password=…` as it stands
/// in an address without a scheme, with all that follows it.
fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        let covered = text.to_lowercase().find("password").filter(|_| text.contains('='));
        return covered.map_or_else(|| text.to_owned(), |at| format!("{}password=********", text.get(..at).unwrap_or_default()));
    };
    // To PostgreSQL all before the first `@` is name and password, whatever stands in it; elsewhere the path ends them.
    let within = if scheme.starts_with("postgres") { rest.len() } else { rest.find(['/', '?', '#']).unwrap_or(rest.len()) };
    let at = rest[..within].find('@').unwrap_or(0);
    let (user, place) = rest.split_at(at);
    let user = match user.split_once(':') {
        Some((name, _)) => format!("{name}:********"),
        None => user.to_owned(),
    };
    let (place, query) = place.split_once('?').map_or((place, None), |(place, query)| (place, Some(query)));
    let query = query.map(|query| format!("?{}", query.split('&').map(without_secret).collect::<Vec<_>>().join("&")));
    format!("{scheme}://{user}{place}{}", query.unwrap_or_default())
}

/// A parameter of an address.
fn without_secret(pair: &str) -> String {
    match pair.split_once('=') {
        Some((name, _)) if SECRET.iter().any(|word| name.to_lowercase().contains(word)) => format!("{name}=********"),
        _ => pair.to_owned(),
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
        let shown = masked("postgres.url", &json!("postgres://pabal@db/pabal?sslmode=require&password=s3cr3t"));
        assert_eq!(shown, "postgres://pabal@db/pabal?sslmode=require&password=********");
        for secret in ["s3?cret", "s3/cret", "s3:cret#"] {
            let shown = masked("postgres.url", &json!(format!("postgres://pabal:{secret}@db/pabal?sslmode=require")));
            assert_eq!(shown, "postgres://pabal:********@db/pabal?sslmode=require");
        }
        assert_eq!(masked("postgres.url", &json!("host=db password=s3cr3t user=x")), "host=db password=********");
        assert_eq!(masked("http.public_url", &json!("http://localhost:8088/a@b")), "http://localhost:8088/a@b");
    }
}
