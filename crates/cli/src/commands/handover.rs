//! `pabal handover`: copies consumer offsets between groups, so that our service replaces an existing one on a topic, or the
//! other way round, and no record is skipped or read twice.

use broker_kafka::Admin;
use kernel::System;

use crate::args::Handover;
use crate::config::Config;
use crate::failed::Failed;
use crate::services;

/// Copies the offsets of one group to another; both must be empty.
pub fn handover(args: &Handover, config: &Config, systems: &[System]) -> Result<u8, Failed> {
    let service = services::find(systems, &args.service)?;
    let ours = services::group_name(&service);
    let (from, to) = match (&args.from, &args.to) {
        (None, None) => return Err(Failed::config(format!("say --from GROUP or --to GROUP: the other one is ours, {ours}"))),
        (from, to) => (from.clone().unwrap_or_else(|| ours.clone()), to.clone().unwrap_or_else(|| ours.clone())),
    };
    let admin = Admin::new(&config.kafka).map_err(|error| Failed::config(format!("`kafka`: {error}")))?;
    let topics = [service.topic.to_owned()];
    let copied = admin.handover(&from, &to, &topics).map_err(|error| Failed::no(error.to_string()))?;
    for (partition, offset) in &copied {
        println!("{partition}: {to} continues at offset {offset}");
    }
    Ok(0)
}
