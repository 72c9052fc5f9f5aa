//! `pabal health`: for probes that run a command instead of asking over HTTP.

use reqwest::Method;

use crate::admin::{Admin, talk};
use crate::args::{Health, Probe};
use crate::failed::{Failed, NO};
use crate::show;

/// Asks, and tells by the exit code.
pub fn health(health: &Health) -> Result<u8, Failed> {
    let (path, yes, no) = match health.what {
        Probe::Live => ("/livez", "live", "not live"),
        Probe::Ready => ("/readyz", "ready", "not ready"),
    };
    let admin = Admin::of(&health.instance)?;
    let answer = talk(admin.ask(Method::GET, path, &[], None))?;
    if (200..300).contains(&answer.status) {
        show::print(yes)?;
        return Ok(0);
    }
    show::print(no)?;
    Ok(NO)
}
