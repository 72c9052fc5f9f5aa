//! `pabal replay`: starts the rebuild of a view and watches it.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;
use serde_json::Value;

use crate::admin::{Admin, talk};
use crate::args::Replay;
use crate::failed::Failed;
use crate::show;

const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Rounds without a sign of the rebuild after which it is over: it was done before anybody looked.
const UNSEEN: u32 = 5;

/// Rebuilds.
pub fn replay(args: &Replay) -> Result<u8, Failed> {
    let (system, view) = match args.view.split_once('/') {
        Some((system, view)) => (Some(system), view),
        None => (None, args.view.as_str()),
    };
    let admin = Admin::of(&args.instance)?;
    talk(async {
        let path = format!("/admin/views/{view}/rebuild");
        let query: Vec<_> = system.map(|system| ("system", system)).into_iter().collect();
        admin.demand(Method::POST, &path, &query, None).await?;
        watch(&admin, system, view).await
    })?;
    show::print(&format!("{view} is rebuilt"))?;
    Ok(0)
}

async fn watch(admin: &Admin, system: Option<&str>, view: &str) -> Result<(), Failed> {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{msg} {bar:40} {pos}/{len} events, {eta} left") {
        bar.set_style(style);
    }
    bar.set_message(view.to_owned());
    let (mut seen, mut unseen) = (false, 0);
    loop {
        let answer = admin.demand(Method::GET, "/admin/followers", &[], None).await?;
        match running(&answer, system, view) {
            Some((status, _)) if status["rebuild"]["failed"].is_string() => {
                bar.abandon();
                let cause = status["rebuild"]["failed"].as_str().unwrap_or_default();
                return Err(Failed::no(format!("the rebuild of {view} was given up {cause}; the old view serves on")));
            }
            Some((status, position)) => {
                seen = true;
                bar.set_length(status["lastSeq"].as_u64().unwrap_or_default());
                bar.set_position(position);
            }
            // A status is published a few times a second: a short rebuild may begin and end between two looks.
            None if seen || unseen >= UNSEEN => break,
            None => unseen += 1,
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    bar.finish_and_clear();
    Ok(())
}

/// The status of the system that rebuilds the view now, and how far it is.
fn running<'a>(answer: &'a Value, system: Option<&str>, view: &str) -> Option<(&'a Value, u64)> {
    let systems = answer["systems"].as_array()?.iter();
    let mut named = systems.filter(|one| system.is_none_or(|name| one["system"] == name));
    let status = &named.find(|one| one["status"]["rebuild"]["view"] == view)?["status"];
    Some((status, status["rebuild"]["position"].as_u64().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_system_that_rebuilds_the_view_is_found() {
        let answer = json!({"systems": [
            {"system": "a", "status": {"rebuild": null}},
            {"system": "b", "status": {"lastSeq": 9, "rebuild": {"view": "things", "position": 4}}}
        ]});
        assert_eq!(running(&answer, None, "things").map(|(_, position)| position), Some(4));
        assert!(running(&answer, Some("a"), "things").is_none());
        assert!(running(&answer, None, "others").is_none());
    }
}
