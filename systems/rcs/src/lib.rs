#![doc = include_str!("../README.md")]

pub mod api;
pub mod bodies;
pub mod delivery;
pub mod draft;
pub mod events;
pub mod letter;
pub mod message;
pub mod policies;
mod seeds;
pub mod send_time;
pub mod settings;
pub mod validation;
pub mod views;
pub mod wire;

use kernel::{Domain, RetrySafety, Service, System};

use delivery::handset::simulator;
use settings::RcsSettings;
use validation::directory::{self, CarrierOf};

/// One business message from acceptance to handset.
pub fn system() -> System {
    let system = System::new("rcs", "messagesenderlhg", "One business message from acceptance to handset.")
        .service(message())
        .service(validator())
        .service(device())
        .service(dashboard())
        .settings::<RcsSettings>()
        .external::<wire::External>()
        .try_first(TRY_FIRST)
        .warm_up(telecom::warm_up);
    seeds::sow(system)
}

fn message() -> Service {
    Service::new("message", 8082, Domain::Core, "Takes messages from their senders, and takes them back.")
        .resource(api::messages())
        .whenever(policies::return_to_what_it_was)
        .whenever(policies::note_reading)
}

fn validator() -> Service {
    Service::new("validator", 8083, Domain::Core, "Checks messages against rules, registers and the law.")
        .resource(api::validators())
        .resource(api::brands())
        .resource(api::chatbots())
        .resource(api::consents())
        .resource(api::opt_outs())
        .answers::<CarrierOf>(directory::embedded)
        .whenever(policies::validate)
        .whenever(policies::stop_validating)
}

fn device() -> Service {
    Service::new("device", 8084, Domain::Core, "Brings messages to handsets through the carriers.")
        .resource(api::devices())
        .effect_handler(RetrySafety::Queryable, simulator)
        .whenever(policies::deliver)
        .whenever(policies::take_back)
}

fn dashboard() -> Service {
    Service::new("dashboard", 8085, Domain::Supporting, "Shows senders what became of their messages.")
        .view(views::my_messages::my_messages())
}

const TRY_FIRST: &str = r#"http POST localhost:8082/messages messageId="msg-1" userContact="01012341234" mno="kt" sendTime="2024-09-23" chatbotId="0801234567" description="test"
http DELETE localhost:8082/messages/1
http GET localhost:8085/myMessages"#;
