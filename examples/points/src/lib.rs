#![doc = include_str!("../README.md")]

use kernel::{
    Aggregate, CommandFor, Context, Decision, Domain, Event, NoEffect, NoSettings, Rejected, Rejection, Service, System, resource,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A system of its own: its own topic, its own store, its own door at `/points`.
pub fn system() -> System {
    System::new("points", "points", "Loyalty points for delivered messages.").service(loyalty()).try_first(TRY_FIRST)
}

const TRY_FIRST: &str = "http GET localhost:8088/points/search/findByUserContact?userContact=01012341234
http PUT localhost:8088/points/1/spend points=1";

fn loyalty() -> Service {
    Service::new("loyalty", 8090, Domain::Supporting, "Thanks people for being written to.")
        .follows("messagesenderlhg")
        .whenever(thank)
        .resource(
            resource("points", "What each number has earned and not spent.", Points::shown)
                .search("userContact", |points: &Points| (&points.user_contact).into())
                .action("spend", "Spends points.", |spend: Spend| Ok(Command::Spend(spend.points)), |points| points.balance > 0),
        )
}

/// All that is read of the other system's event; its other fields are ignored.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SendSucceed {
    user_contact: String,
}

impl Event for SendSucceed {
    const TYPE: &'static str = "SendSucceed";
}

// Each event takes effect exactly once, so a point needs no memory of its message.
kernel::policies! {
    /// Whenever a message was delivered, its reader earns a point.
    fn thank(delivered: &SendSucceed) -> CommandFor<Points> {
        CommandFor::new(&delivered.user_contact, Command::Earn)
    }
}

/// The points of one number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Points {
    user_contact: String,
    balance: u64,
}

/// What can be asked of them.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub enum Command {
    /// One point more.
    Earn,
    /// So many points less.
    Spend(u64),
}

/// Points came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PointsEarned {
    user_contact: String,
    points: u64,
}

/// Points went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PointsSpent {
    user_contact: String,
    points: u64,
}

kernel::events! {
    /// What happens to them.
    pub enum PointsEvent {
        PointsEarned,
        PointsSpent,
    }
}

/// Why a command is rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PointsRejection {
    /// There are only so many.
    NotEnough(u64),
}

impl Rejection for PointsRejection {
    fn rejected(&self) -> Rejected {
        let PointsRejection::NotEnough(balance) = self;
        Rejected::rule("not-enough-points", format!("there are only {balance} points"))
    }
}

impl Aggregate for Points {
    const NAME: &'static str = "points";
    type Command = Command;
    type Event = PointsEvent;
    type Effect = NoEffect;
    type Rejection = PointsRejection;
    type Settings = NoSettings;

    fn decide(now: Option<&Self>, command: &Command, context: &Context<'_>) -> Result<Decision<Self>, PointsRejection> {
        let (user_contact, balance) = (context.key.to_owned(), now.map_or(0, |points| points.balance));
        match *command {
            Command::Earn => Ok(Decision::event(PointsEarned { user_contact, points: 1 })),
            Command::Spend(points) if points > balance => Err(PointsRejection::NotEnough(balance)),
            Command::Spend(points) => Ok(Decision::event(PointsSpent { user_contact, points })),
        }
    }

    fn evolve(now: Option<Self>, event: &PointsEvent) -> Option<Self> {
        let balance = now.map_or(0, |points| points.balance);
        Some(match event {
            PointsEvent::PointsEarned(earned) => {
                Self { user_contact: earned.user_contact.clone(), balance: balance + earned.points }
            }
            PointsEvent::PointsSpent(spent) => Self { user_contact: spent.user_contact.clone(), balance: balance - spent.points },
        })
    }
}

/// `PUT /points/{id}/spend`
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Spend {
    /// How many.
    points: u64,
}

/// `GET /points/{id}`
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PointsBody {
    id: u64,
    user_contact: String,
    points: u64,
}

impl Points {
    fn shown(&self, id: u64) -> PointsBody {
        PointsBody { id, user_contact: self.user_contact.clone(), points: self.balance }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::kit::given;

    fn earned(points: u64) -> PointsEvent {
        PointsEvent::PointsEarned(PointsEarned { user_contact: "01012341234".into(), points })
    }
    fn spent(points: u64) -> PointsEvent {
        PointsEvent::PointsSpent(PointsSpent { user_contact: "01012341234".into(), points })
    }

    #[test]
    fn the_first_message_opens_an_account_with_one_point() {
        let then = given::<Points>([]).named("01012341234", 1).when(Command::Earn).then([earned(1)]);
        assert_eq!(then.after, Some(Points { user_contact: "01012341234".into(), balance: 1 }));
    }

    #[test]
    fn points_can_be_spent_down_to_none() {
        let then = given::<Points>([earned(1), earned(1)]).named("01012341234", 1).when(Command::Spend(2)).then([spent(2)]);
        assert_eq!(then.after.map(|points| points.balance), Some(0));
    }

    #[test]
    fn what_was_not_earned_cannot_be_spent() {
        given::<Points>([earned(1)]).named("01012341234", 1).when(Command::Spend(2)).rejected(&PointsRejection::NotEnough(1));
    }

    #[test]
    fn a_whole_event_of_the_other_system_is_read_for_the_one_field_that_matters() {
        let json =
            br#"{"eventType":"SendSucceed","id":7,"messageId":"msg-7","userContact":"01012341234","result":"send succeed"}"#;
        let event = SendSucceed::read(1, json).expect("it has the field");
        assert_eq!((event.user_contact.as_str(), SendSucceed::TYPE), ("01012341234", "SendSucceed"));
    }
}
