//! The system's declarations and its events as they stand on the wire: a contract with programs that exist.
#![allow(clippy::unwrap_used, reason = "tests may say what they expect, their helpers too")]

use kernel::resource::ResourceDef;
use kernel::{Event, Service};
use ports::model::{check_effects, check_system};
use rcs::events::{Canceled, SendFailed, SendSucceed, SendSuccess, ValidateSucceed};
use rcs::letter::Letter;
use rcs::message::MessageEvent;
use serde_json::{Value, json};

fn service(name: &str) -> Service {
    rcs::system().services.into_iter().find(|service| service.name == name).unwrap()
}

fn resource(service: &str, name: &str) -> ResourceDef {
    self::service(service).resources.into_iter().find(|resource| resource.name == name).unwrap()
}

fn letter() -> Letter {
    Letter {
        id: 1,
        message_id: "msg-1".into(),
        user_contact: "01012341234".into(),
        mno: Some("kt".into()),
        send_time: Some("2024-09-23".into()),
        chatbot_id: "0801234567".into(),
        description: "test".into(),
        ..Letter::default()
    }
}

fn value(event: impl serde::Serialize) -> Value {
    serde_json::to_value(event).unwrap()
}

/// The names of all events, those that leave their service or those that do not.
fn events(private: bool) -> Vec<String> {
    let services = rcs::system().services;
    let aggregates = services.iter().flat_map(|service| &service.aggregates);
    let events = aggregates.flat_map(|aggregate| aggregate.of.events());
    events.filter(|event| event.private == private).map(|event| event.name).collect()
}

#[test]
fn what_nobody_else_needs_and_what_recipients_said_stays_in_its_service() {
    let published = [
        "SendSuccess",
        "Canceled",
        "Prechecked",
        "Held",
        "ValidateSucceed",
        "ValidateFailed",
        "BrandRegistered",
        "BrandRemoved",
        "ChatbotRegistered",
        "ChatbotRemoved",
        "Postponed",
        "FellBack",
        "SendSucceed",
        "SendFailed",
        "RecallGranted",
        "RecallRefused",
        "Read",
    ];
    let private = [
        "CancelFailed",
        "ReadNoted",
        "ValidationStopped",
        "ConsentChanged",
        "OptOutChanged",
        "Queued",
        "Submitted",
        "Retried",
        "RecallAsked",
    ];
    assert_eq!((events(false), events(true)), (published.map(str::to_owned).to_vec(), private.map(str::to_owned).to_vec()));
}

#[test]
fn the_four_services_stand_on_their_ports() {
    let ports: Vec<_> = rcs::system().services.iter().map(|service| (service.name, service.port)).collect();
    assert_eq!(ports, [("message", 8082), ("validator", 8083), ("device", 8084), ("dashboard", 8085)]);
    assert_eq!(rcs::system().topic, "messagesenderlhg");
}

#[test]
fn an_acceptance_reads_on_the_wire_as_existing_services_expect() {
    let expected = json!({
        "eventType": "SendSuccess", "id": 1, "messageId": "msg-1", "userContact": "01012341234", "mno": "kt",
        "sendTime": "2024-09-23", "chatbotId": "0801234567", "description": "test",
        "messageType": "sms", "category": "info",
    });
    let event = MessageEvent::SendSuccess(SendSuccess { letter: letter() });
    assert_eq!(value(&event), expected);
    assert!(serde_json::to_string(&event).unwrap().starts_with(r#"{"eventType":"SendSuccess","#));
    let canceled = MessageEvent::Canceled(Canceled { id: 1, message_id: "msg-1".into() });
    assert_eq!(value(canceled), json!({"eventType": "Canceled", "id": 1, "messageId": "msg-1"}));
}

#[test]
fn results_carry_what_existing_readers_need_and_our_fields_beside_it() {
    let validated = value(ValidateSucceed { letter: letter(), policy_info: "passed".into(), findings: vec![] });
    let succeeded = value(SendSucceed {
        letter: letter(),
        result: "send succeed".into(),
        channel: rcs::events::Channel::Rcs,
        price_won: Some(17),
    });
    let failed = value(SendFailed { letter: letter(), result: "send failed".into(), reason: "gone".into(), expired: false });
    for event in [&validated, &succeeded, &failed] {
        for field in ["id", "messageId", "userContact", "mno", "sendTime", "chatbotId", "description"] {
            assert!(!event[field].is_null(), "{field}");
        }
    }
    assert_eq!((&validated["policyInfo"], &succeeded["result"]), (&json!("passed"), &json!("send succeed")));
    assert_eq!((&failed["result"], &failed["reason"]), (&json!("send failed"), &json!("gone")));
}

#[test]
fn an_event_is_read_back_with_the_fields_that_others_leave_out() {
    let read = SendSuccess::read(1, br#"{"eventType":"SendSuccess","id":1,"messageId":"m","unknown":1}"#).unwrap();
    assert_eq!((read.letter.message_id.as_str(), read.letter.description.as_str()), ("m", ""));
}

#[test]
fn the_system_is_well_declared_and_every_effect_has_a_handler() {
    assert_eq!(check_system(&rcs::system()), Ok(()));
    assert_eq!(check_effects(&rcs::system(), |_| false), Ok(()));
}

#[test]
fn validators_and_devices_are_changed_by_policies_and_operators_only() {
    for resource in [resource("validator", "validators"), resource("device", "devices")] {
        assert!(resource.create.is_none() && resource.replace.is_none() && resource.delete.is_none());
    }
    let actions: Vec<_> = resource("validator", "validators").actions.iter().map(|action| action.name).collect();
    assert_eq!(actions, ["release", "refuse"]);
}

#[test]
fn a_message_without_recipient_or_chatbot_is_malformed_and_all_else_may_be_absent() {
    let input = resource("message", "messages").create.unwrap().input;
    assert_eq!(input["required"], json!(["userContact", "chatbotId"]));
}

#[test]
fn every_row_of_a_first_run_is_taken_by_its_collection() {
    let system = rcs::system();
    let resources: Vec<_> = system.services.iter().flat_map(|service| &service.resources).collect();
    for seed in &system.seeds {
        let resource = resources.iter().find(|resource| resource.name == seed.resource).unwrap();
        let body: serde_json::Map<_, _> =
            seed.body.as_object().unwrap().clone().into_iter().filter(|(_, value)| !value.is_null()).collect();
        assert!(resource.create.as_ref().unwrap().make(Value::Object(body)).is_ok(), "{}", seed.body);
    }
    assert!(system.seeds.iter().any(|seed| seed.body["chatbotId"] == "0801234567"));
}

#[test]
fn all_that_may_vary_is_a_setting_and_an_unknown_one_is_refused() {
    let mut system = rcs::system();
    let changed = json!({"night": "refuse", "unmarkedAd": "hold", "retryDelaysMs": [1], "validityMs": 10,
        "simulator": {"offMs": 1}, "prices": {"sms": 9}});
    assert!(system.configure(changed).is_ok());
    assert!(system.configure(json!({"nigth": "refuse"})).is_err());
}
