//! `pabal replay`: starts the rebuild of a view and shows its progress.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;
use serde_json::Value;

use crate::admin::{Admin, talk};
use crate::args::Replay;
use crate::failed::Failed;
use crate::show;

const POLL_EVERY: Duration = Duration::from_millis(200);

/// Polls without a sign of the rebuild before the command gives up.
const UNSEEN: u32 = 50;

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
        let begun = admin.demand(Method::POST, &path, &query, None).await?;
        let system = begun["system"].as_str().unwrap_or_default();
        watch(&admin, &Wanted { system, view, number: begun["number"].as_u64().unwrap_or_default() }).await
    })?;
    show::print(&format!("{view} is rebuilt"))?;
    Ok(0)
}

/// The rebuild that was begun.
struct Wanted<'a> {
    system: &'a str,
    view: &'a str,
    /// Counts the rebuilds of the system since its start.
    number: u64,
}

/// What a status says of it.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Nothing,
    Running { position: u64, of: u64 },
    Failed(String),
    Done,
}

async fn watch(admin: &Admin, wanted: &Wanted<'_>) -> Result<(), Failed> {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{msg} {bar:40} {pos}/{len} events, {eta} left") {
        bar.set_style(style);
    }
    bar.set_message(wanted.view.to_owned());
    let mut unseen = 0;
    loop {
        let answer = admin.demand(Method::GET, "/admin/subscriptions", &[], None).await?;
        match wanted.seen(&answer) {
            Seen::Nothing if unseen == UNSEEN => {
                return Err(Failed::no(format!("the instance knows of no rebuild of {}; was it restarted?", wanted.view)));
            }
            Seen::Nothing => unseen += 1,
            Seen::Running { position, of } => {
                bar.set_length(of);
                bar.set_position(position);
            }
            Seen::Failed(cause) => {
                bar.abandon();
                return Err(Failed::no(format!("the rebuild of {} failed: {cause}; the old view goes on serving", wanted.view)));
            }
            Seen::Done => break,
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
    bar.finish_and_clear();
    Ok(())
}

impl Wanted<'_> {
    fn seen(&self, answer: &Value) -> Seen {
        let mut systems = answer["systems"].as_array().into_iter().flatten();
        let Some(status) = systems.find(|one| one["system"] == self.system).map(|one| &one["status"]) else {
            return Seen::Nothing;
        };
        let (running, done) = (&status["rebuild"], &status["rebuilt"]);
        let number = |one: &Value| one["number"].as_u64().unwrap_or_default();
        if number(done) == self.number {
            return Seen::Done;
        }
        if number(running).max(number(done)) > self.number {
            return Seen::Failed("or completed, and another one was started since; see its log".to_owned());
        }
        match running["failed"].as_str() {
            _ if number(running) != self.number => Seen::Nothing,
            Some(cause) => Seen::Failed(cause.to_owned()),
            None => Seen::Running {
                position: running["position"].as_u64().unwrap_or_default(),
                of: status["lastSeq"].as_u64().unwrap_or_default(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn seen(status: &Value) -> Seen {
        let answer = json!({"systems": [{"system": "a", "status": {"rebuild": null}}, {"system": "b", "status": status}]});
        Wanted { system: "b", view: "things", number: 2 }.seen(&answer)
    }

    #[test]
    fn a_rebuild_is_followed_from_its_beginning_to_its_end() {
        let running = json!({"lastSeq": 9, "rebuild": {"number": 2, "view": "things", "position": 4, "failed": null}});
        assert_eq!(seen(&running), Seen::Running { position: 4, of: 9 });
        let done = json!({"lastSeq": 9, "rebuild": null, "rebuilt": {"number": 2, "view": "things", "position": 9}});
        assert_eq!(seen(&done), Seen::Done);
        let failed = json!({"rebuild": {"number": 2, "view": "things", "failed": "at 3: no"}});
        assert_eq!(seen(&failed), Seen::Failed("at 3: no".into()));
    }

    #[test]
    fn one_before_is_not_taken_for_this_one() {
        let before = json!({"rebuild": {"number": 1, "view": "things", "failed": "at 3: no"}, "rebuilt": null});
        assert_eq!(seen(&before), Seen::Nothing);
        assert_eq!(seen(&json!({"rebuild": null, "rebuilt": {"number": 1, "view": "things"}})), Seen::Nothing);
    }

    #[test]
    fn one_after_it_hides_what_became_of_it() {
        assert!(matches!(seen(&json!({"rebuild": {"number": 3, "view": "others"}, "rebuilt": null})), Seen::Failed(_)));
        let done = json!({"rebuild": {"number": 3, "view": "others"}, "rebuilt": {"number": 2, "view": "things"}});
        assert_eq!(seen(&done), Seen::Done);
    }
}
