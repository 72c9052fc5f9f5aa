//! `pabal dead-letters`: parked events, listed, redriven and discarded.

use reqwest::Method;
use serde_json::{Value, json};

use crate::admin::{Admin, talk};
use crate::args::{DeadLetters, Instance, Letter, LetterAction};
use crate::failed::Failed;
use crate::show;

/// As many as the admin API gives at once.
const MOST: &str = "1000";

/// Lists, redrives or discards.
pub fn dead_letters(args: &DeadLetters) -> Result<u8, Failed> {
    match &args.action {
        LetterAction::List { all, json, instance } => list(instance, *all, *json)?,
        LetterAction::Redrive { letter, instance } => {
            decide(instance, "redrive", letter, json!({}))?;
            show::print(&format!("{} {} is redriven", letter.subscription, letter.key))?;
        }
        LetterAction::Discard { letter, place, instance } => {
            decide(instance, "discard", letter, json!({"position": place, "reason": "pabal dead-letters discard"}))?;
            show::print(&format!(
                "{} {} is discarded at {place}; the events parked behind it go on",
                letter.subscription, letter.key
            ))?;
        }
    }
    Ok(0)
}

fn list(instance: &Instance, all: bool, json: bool) -> Result<(), Failed> {
    let query = [("limit", MOST), ("parked", if all { "true" } else { "false" })];
    let admin = Admin::of(instance)?;
    let answer = talk(admin.demand(Method::GET, "/admin/dead-letters", &query, None))?;
    let letters = answer.pointer("/_embedded/deadLetters").and_then(Value::as_array).cloned().unwrap_or_default();
    if json {
        return show::print(&serde_json::to_string_pretty(&letters).unwrap_or_default());
    }
    if letters.is_empty() {
        return show::print(if all { "no events are parked" } else { "there are no dead letters" });
    }
    show::print(&shown(&letters))
}

fn shown(letters: &[Value]) -> String {
    let text = |letter: &Value, path: &str| match letter.pointer(path) {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => String::new(),
        Some(other) => other.to_string(),
    };
    let rows = letters.iter().map(|letter| {
        let state =
            if letter["dead"] == true { "dead".to_owned() } else { format!("parked, attempt {}", text(letter, "/attempts")) };
        let columns = ["/subscription", "/key", "/position", "/event/type"].map(|path| text(letter, path));
        let [subscription, key, place, event] = columns;
        [subscription, key, place, event, state, text(letter, "/since"), text(letter, "/cause")]
    });
    show::table(["subscription", "key", "position", "event", "state", "since", "cause"], rows)
}

/// A subscription's name begins with the name of its system, which the API needs where several run.
fn decide(instance: &Instance, action: &str, letter: &Letter, more: Value) -> Result<(), Failed> {
    let system = letter.subscription.split('.').next().unwrap_or_default();
    let mut body = json!({"system": system, "subscription": letter.subscription, "key": letter.key});
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
    let path = format!("/admin/dead-letters/{action}");
    let admin = Admin::of(instance)?;
    talk(async {
        known(&admin, letter).await?;
        admin.demand(Method::POST, &path, &[], Some(&body)).await.map(drop)
    })
}

/// The API accepts any name, and the core ignores an unknown one; a mistyped name must be an error here.
async fn known(admin: &Admin, letter: &Letter) -> Result<(), Failed> {
    let query = [("limit", MOST), ("parked", "true")];
    let answer = admin.demand(Method::GET, "/admin/dead-letters", &query, None).await?;
    let letters = answer.pointer("/_embedded/deadLetters").and_then(Value::as_array).cloned().unwrap_or_default();
    let found = letters.iter().any(|one| one["subscription"] == letter.subscription && one["key"] == letter.key);
    if found || letters.len() >= MOST.parse().unwrap_or(usize::MAX) {
        return Ok(());
    }
    Err(Failed::no(format!(
        "no event of {} is parked under the key {}; `dead-letters list --all` shows those that are",
        letter.subscription, letter.key
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_shown_with_what_is_needed_to_decide_about_it() {
        let letter = json!({
            "system": "rcs", "subscription": "rcs.device", "key": "msg-1", "position": 3, "attempts": 4, "dead": true,
            "cause": "no such carrier", "since": "2026-01-31T09:00:00Z", "nextTry": null, "event": {"type": "ValidateSucceed"}
        });
        let table = shown(&[letter]);
        let line = table.lines().last().unwrap();
        for word in ["rcs.device", "msg-1", "3", "ValidateSucceed", "dead", "2026-01-31T09:00:00Z", "no such carrier"] {
            assert!(line.contains(word), "{word} is not in {line}");
        }
    }
}
