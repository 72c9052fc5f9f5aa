//! `pabal handover`: ours takes an existing service's place on a topic, or gives it back, and nothing is read twice or skipped.

use broker_kafka::Admin;
use kernel::System;

use crate::args::Handover;
use crate::config::Config;
use crate::failed::Failed;
use crate::run::served;
use ports::Model;

/// Copies the positions of one group to another, while nobody is in either.
pub fn handover(args: &Handover, config: &Config, systems: &[System]) -> Result<u8, Failed> {
    let model = Model::new(served::one(systems, &args.service)?).map_err(|error| Failed::config(error.to_string()))?;
    let ours = served::name_of(&model);
    let (from, to) = match (&args.from, &args.to) {
        (None, None) => return Err(Failed::config(format!("say --from GROUP or --to GROUP: the other one is ours, {ours}"))),
        (from, to) => (from.clone().unwrap_or_else(|| ours.clone()), to.clone().unwrap_or_else(|| ours.clone())),
    };
    let admin = Admin::new(&config.kafka).map_err(|error| Failed::config(format!("`kafka`: {error}")))?;
    let topics = [model.system.topic.to_owned()];
    let copied = admin.handover(&from, &to, &topics).map_err(|error| Failed::no(error.to_string()))?;
    for (partition, position) in &copied {
        println!("{partition}: {to} goes on at {position}");
    }
    Ok(0)
}
