//! Each declaration that would start silently and be wrong afterwards is refused, by name.
#![allow(missing_docs, clippy::unwrap_used, reason = "a sample, and tests may say what they expect")]

use kernel::event::{CodecError, from_json};
use kernel::policy::Whenever;
use kernel::rejection::Never;
use kernel::{
    Aggregate, CommandFor, Context, Decision, Domain, Effect, EffectCall, Event, EventMetadata, New, NoEffect, NoSettings,
    Reaction, RetrySafety, Row, Service, System, resource, view,
};
use ports::model::{Model, check_effects, check_installation, check_system};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An aggregate with one published and one private event.
macro_rules! thing {
    ($module:ident, $name:literal, $published:ident { $($field:ident: $type:ty),* }, $private:ident, $effect:ty, $settings:ty) => {
        mod $module {
            use super::*;

            #[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
            pub struct $published { $(pub $field: $type),* }
            #[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
            pub struct $private {}
            kernel::events! {
                /// What happens.
                pub enum Happens { $published, $private { private } }
            }
            #[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
            pub enum Do {
                /// Something.
                It,
            }
            #[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
            pub struct Thing {
                pub text: String,
            }
            impl Aggregate for Thing {
                const NAME: &'static str = $name;
                type Command = Do;
                type Event = Happens;
                type Effect = $effect;
                type Rejection = Never;
                type Settings = $settings;
                fn decide(_: Option<&Self>, _: &Do, _: &Context<'_, $settings>) -> Result<Decision<Self>, Never> {
                    Ok(Decision::nothing())
                }
                fn evolve(now: Option<Self>, _: &Happens) -> Option<Self> {
                    now
                }
            }
        }
    };
}

thing!(order, "order", Ordered {}, Noted, NoEffect, NoSettings);
thing!(bill, "bill", Billed {}, Filed, NoEffect, NoSettings);
thing!(other_bill, "otherBill", Billed { won: u64 }, Filed, NoEffect, NoSettings);
thing!(loaf, "loaf", Baked {}, Warmed, Oven, Hours);
thing!(blank, "my order", Blanked {}, Unseen, NoEffect, NoSettings);

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Oven {}
impl Effect for Oven {
    const PORT: &'static str = "oven";
    type Reply = String;
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Hours {
    open: u8,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    text: String,
}
impl Row for Line {
    const VERSION: u16 = 2;
    fn id(&self) -> Option<u64> {
        Some(1)
    }
    fn read(version: u16, json: &[u8]) -> Result<Self, CodecError> {
        if version > 1 { from_json(json) } else { Ok(Self { text: from_json(json)? }) }
    }
}

/// Published by no system.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Rained {}
impl Event for Rained {
    const TYPE: &'static str = "Rained";
}

fn on<E: Event>(_: &E) -> CommandFor<bill::Thing> {
    CommandFor::new("key", bill::Do::It)
}

fn whenever<E: Event>() -> Whenever<fn(&E) -> CommandFor<bill::Thing>> {
    Whenever::new("on", "Whenever it happens, it is billed.", on::<E>)
}

fn note<E: Event>(_: &mut Line, _: &E, _: &EventMetadata) {}

fn service(name: &'static str) -> Service {
    Service::new(name, 1, Domain::Core, "A service.")
}

fn shop() -> Service {
    service("shop").aggregate::<order::Thing>()
}

fn office() -> Service {
    service("office").aggregate::<bill::Thing>()
}

fn system(services: impl IntoIterator<Item = Service>) -> System {
    services.into_iter().fold(System::new("sample", "sample-events", "A sample."), System::service)
}

#[track_caller]
fn refused(services: impl IntoIterator<Item = Service>, expected: &str) {
    let error = Model::new(system(services)).map(drop).unwrap_err().to_string();
    assert_eq!(error, expected);
}

fn orders(name: &'static str) -> kernel::resource::Resource<order::Thing, order::Thing> {
    resource(name, "Orders.", |order: &order::Thing, _| order.clone())
        .create("Orders.", |_: kernel::resource::NoBody| Ok(New::keyed(None, order::Do::It)))
}

#[test]
fn what_is_well_declared_starts_in_one_process_and_service_by_service() {
    let whole = system([shop(), office().whenever(whenever::<order::Ordered>())]);
    assert_eq!(check_installation(std::slice::from_ref(&whole)), Ok(()));
    // What the services left out publish is still known.
    assert_eq!(check_system(&whole.only("office").unwrap()), Ok(()));
}

#[test]
fn a_system_without_services_is_refused() {
    refused([], "sample: a system needs at least one service");
}

#[test]
fn an_event_that_is_waited_for_is_published_by_some_service_of_the_system() {
    let waits = "waits for `Rained`, which no service of `sample` publishes";
    refused([office().whenever(whenever::<Rained>())], &format!("sample/office: policy `on` {waits}"));
    refused([shop().view(view("lines", "Lines.").on(note::<Rained>))], &format!("sample/shop: view `lines` {waits}"));
}

#[test]
fn a_private_event_can_not_be_waited_for() {
    let expected = "sample/office: policy `on` waits for `Noted`, which is private to its service";
    refused([shop(), office().whenever(whenever::<order::Noted>())], expected);
}

#[test]
fn a_policy_that_may_set_itself_off_says_that_it_is_meant() {
    let expected = "sample/office: policy `on` asks `bill`, which may publish `Billed` and set it off again; if that is meant, \
                    say `.repeats()`";
    refused([office().whenever(whenever::<bill::Billed>())], expected);
    assert!(Model::new(system([office().whenever(whenever::<bill::Billed>().repeats())])).is_ok());
}

#[test]
fn a_policy_asks_an_aggregate_of_its_own_service() {
    let expected = "sample/shop: policy `on` asks `bill`, which is not an aggregate of this service";
    refused([shop().whenever(whenever::<order::Ordered>())], expected);
}

#[test]
fn names_are_given_once() {
    refused([shop(), service("shop")], "sample: two services are called `shop`");
    let lines = || view::<Line>("orders", "Lines.");
    refused([service("shop").resource(orders("orders")).view(lines())], "sample: two resources or views are called `orders`");
    refused([service("a").view(lines()), service("b").view(lines())], "sample: two resources or views are called `orders`");
    let twice = shop().aggregate::<order::Thing>();
    refused([twice], "sample/shop: `order` and `order` would share the table `shop__order`");
    let elsewhere = service("annex").aggregate::<order::Thing>();
    refused([shop(), elsewhere], "sample/shop: the aggregate `order` belongs to another service, too");
    let expected = "sample/annex: `bill` and `otherBill` publish `Billed` with different fields";
    refused([office(), service("annex").aggregate::<other_bill::Thing>()], expected);
}

#[test]
fn an_aggregate_has_one_resource() {
    let both = service("shop").resource(orders("orders")).resource(orders("wishes"));
    refused([both], "sample/shop: the resources `orders` and `wishes` show one aggregate; it can have one");
}

#[test]
fn a_name_has_neither_blanks_nor_slashes() {
    let rule = "may have letters, digits, `-` and `_` in its name, and begins with a letter or digit";
    refused([service("my shop")], &format!("sample/my shop: the service `my shop` {rule}"));
    refused([service("shop/desk")], &format!("sample/shop/desk: the service `shop/desk` {rule}"));
    refused([service("shop").aggregate::<blank::Thing>()], &format!("sample/shop: the aggregate `my order` {rule}"));
    refused([service("shop").resource(orders("my orders"))], &format!("sample/shop: the resource `my orders` {rule}"));
    refused([shop().view(view::<Line>("", "Lines."))], &format!("sample/shop: the view `` {rule}"));
    let error = check_system(&System::new("a b", "t", "").service(shop())).unwrap_err().to_string();
    assert_eq!(error, format!("a b: the system `a b` {rule}"));
    assert_eq!(check_system(&System::new("a", "some.topic", "").service(shop())), Ok(()));
}

#[test]
fn totals_are_of_counted_fields_and_a_field_is_declared_once() {
    let lines = || view::<Line>("lines", "Lines.").counted("text", |line| (&line.text).into());
    let expected = "sample/shop: totals of `lines`: `kind` is not a counted field of it";
    refused([shop().view(lines().totals("text", "kind"))], expected);
    let twice = lines().filter("text", |line| (&line.text).into());
    refused([shop().view(twice)], "sample/shop: `lines` declares the field `text` twice");
}

#[test]
fn settings_that_are_read_are_the_ones_that_are_declared() {
    let expected = "the aggregate `loaf` reads the settings `declarations::Hours`; the system declares none";
    refused([service("bakery").aggregate::<loaf::Thing>()], &format!("sample/bakery: {expected}"));
    let declared = system([service("bakery").aggregate::<loaf::Thing>()]).settings::<Hours>();
    assert_eq!(check_system(&declared), Ok(()));
    let handler = |_: &Oven, _: &EffectCall<'_>, _: &Hours| Reaction::reply(String::new());
    let expected = "the effect handler `oven` reads the settings `declarations::Hours`; the system declares none";
    refused([shop().effect_handler(RetrySafety::Idempotent, handler)], &format!("sample/shop: {expected}"));
}

#[test]
fn an_effect_has_a_handler_or_an_adapter() {
    let bare = system([service("bakery").aggregate::<loaf::Thing>()]).settings::<Hours>();
    let error = check_effects(&bare, |_| false).unwrap_err().to_string();
    let expected = "effects of `loaf` go through the port `oven`, which has neither a handler nor an adapter";
    assert_eq!(error, format!("sample/bakery: {expected}"));
    assert_eq!(check_effects(&bare, |port| port == "oven"), Ok(()));
    let handler = |_: &Oven, _: &EffectCall<'_>, _: &NoSettings| Reaction::reply(String::new());
    let complete = bare.clone().service(service("kitchen").effect_handler(RetrySafety::Idempotent, handler));
    assert_eq!(check_effects(&complete, |_| false), Ok(()));
    let twice = complete.service(service("annex").effect_handler(RetrySafety::Idempotent, handler));
    assert_eq!(check_system(&twice).unwrap_err().to_string(), "sample: the port `oven` has two effect handlers");
}

#[test]
fn systems_of_one_installation_have_names_and_topics_of_their_own() {
    let other = |name, topic| System::new(name, topic, "Another.").service(service("annex").aggregate::<order::Thing>());
    let refused = |other: System| check_installation(&[system([shop()]), other]).unwrap_err().to_string();
    assert_eq!(refused(other("sample", "other-events")), "sample: two systems have this name");
    assert_eq!(refused(other("other", "sample-events")), "sample and other: both publish to the topic `sample-events`");
}

#[test]
fn a_topic_that_is_followed_is_some_systems_and_has_the_event() {
    let listener = |topic, service: Service| System::new("other", "other-events", "Another.").service(service.follows(topic));
    let check = |other: System| check_installation(&[system([shop()]), other]).map_err(|error| error.to_string());
    let expected = "other/office: follows the topic `typo`, which no system publishes; there is sample-events, other-events";
    assert_eq!(check(listener("typo", office())).unwrap_err(), expected);
    let expected = "other/office: policy `on` waits for `Rained`, which no service of `sample` publishes";
    assert_eq!(check(listener("sample-events", office().whenever(whenever::<Rained>()))).unwrap_err(), expected);
    let expected = "other/office: policy `on` waits for `Noted`, which is private to its service";
    assert_eq!(check(listener("sample-events", office().whenever(whenever::<order::Noted>()))).unwrap_err(), expected);
    assert_eq!(check(listener("sample-events", office().whenever(whenever::<order::Ordered>()))), Ok(()));
}

#[test]
fn a_row_that_lacks_a_new_field_names_table_key_version_and_field() {
    let model = Model::new(system([shop().view(view::<Line>("lines", "Lines."))])).unwrap();
    let orders = model.find("shop", "order").unwrap();
    let error = orders.read("k-1", 1, b"{}").unwrap_err().to_string();
    assert!(error.contains("shop__order, row `k-1`, schema version 1: missing field `text`"), "{error}");
    // A view's older row is upcast by its own version.
    let lines = model.find("shop", "lines").unwrap();
    let read = |version, json: &[u8]| lines.encode(&lines.read("k-1", version, json).unwrap()).unwrap();
    assert_eq!(read(1, br#""old""#), br#"{"text":"old"}"#);
    assert_eq!(read(2, br#"{"text":"new"}"#), br#"{"text":"new"}"#);
}
