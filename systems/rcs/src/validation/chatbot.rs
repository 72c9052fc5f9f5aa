//! Chatbots: the registered sender numbers under which a brand speaks.

use kernel::aggregate::Aggregate;
use kernel::{Context, Decision, New, NoEffect, NoSettings, Rejected, Rejection};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use telecom::SenderNumber;

use super::brand::{Brand, Standing};

/// A chatbot, keyed by its number in national digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chatbot {
    /// Its number.
    pub chatbot_id: String,
    /// The brand it belongs to.
    pub brand_id: String,
    /// Its name for people.
    pub name: String,
    /// Whether it may be used.
    pub status: Standing,
}

/// A chatbot as it is handed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChatbotDraft {
    /// Its number: 8–11 digits, never an `010` number.
    #[schemars(length(max = 64))]
    pub chatbot_id: String,
    /// The brand it belongs to, which must be registered.
    #[schemars(length(max = 64))]
    pub brand_id: String,
    /// Its name for people.
    #[schemars(length(max = 200))]
    pub name: Option<String>,
    /// `active` if absent.
    pub status: Option<Standing>,
}

/// What may be asked of a chatbot.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub enum ChatbotCommand {
    /// Register it.
    Register(ChatbotDraft),
    /// Change it.
    Change(ChatbotDraft),
    /// Take it off the register.
    Remove,
}

kernel::events! {
    /// What happens to a chatbot.
    pub enum ChatbotEvent {
        /// It stands in the register like this.
        ChatbotRegistered,
        /// It is off the register.
        ChatbotRemoved,
    }
}

/// A chatbot stands in the register like this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChatbotRegistered {
    /// Its id in the resource.
    pub id: u64,
    /// Its number.
    pub chatbot_id: String,
    /// The brand it belongs to.
    pub brand_id: String,
    /// Its name.
    pub name: String,
    /// Whether it may be used.
    pub status: Standing,
}

/// A chatbot is off the register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChatbotRemoved {
    /// Its id in the resource.
    pub id: u64,
    /// Its number.
    pub chatbot_id: String,
}

/// Why a chatbot says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChatbotRejection {
    /// This number is registered otherwise.
    Taken,
    /// Its brand is not registered.
    BrandUnknown,
    /// There is no such chatbot.
    Unknown,
}

impl Aggregate for Chatbot {
    const NAME: &'static str = "chatbot";
    type Command = ChatbotCommand;
    type Event = ChatbotEvent;
    type Effect = NoEffect;
    type Rejection = ChatbotRejection;
    type Settings = NoSettings;

    fn decide(now: Option<&Self>, command: &ChatbotCommand, context: &Context<'_>) -> Result<Decision<Self>, ChatbotRejection> {
        match (command, now) {
            (ChatbotCommand::Register(draft) | ChatbotCommand::Change(draft), Some(bot)) if bot.is(draft) => {
                Ok(Decision::nothing())
            }
            (ChatbotCommand::Register(_), Some(_)) => Err(ChatbotRejection::Taken),
            (ChatbotCommand::Change(_) | ChatbotCommand::Remove, None) => Err(ChatbotRejection::Unknown),
            (ChatbotCommand::Register(draft) | ChatbotCommand::Change(draft), _) => {
                context.find::<Brand>(&draft.brand_id).ok_or(ChatbotRejection::BrandUnknown)?;
                Ok(Decision::event(draft.registered(context)))
            }
            (ChatbotCommand::Remove, Some(bot)) => {
                let removed = ChatbotRemoved { id: context.id, chatbot_id: bot.chatbot_id.clone() };
                Ok(Decision::event(removed))
            }
        }
    }

    fn evolve(_: Option<Self>, event: &ChatbotEvent) -> Option<Self> {
        match event {
            ChatbotEvent::ChatbotRegistered(bot) => Some(Self {
                chatbot_id: bot.chatbot_id.clone(),
                brand_id: bot.brand_id.clone(),
                name: bot.name.clone(),
                status: bot.status,
            }),
            ChatbotEvent::ChatbotRemoved(_) => None,
        }
    }
}

impl ChatbotDraft {
    /// The body of a `POST` becomes a command.
    pub fn register(self) -> Result<New<Chatbot>, Rejected> {
        let number = self.number()?;
        Ok(New::keyed(Some(number.into()), ChatbotCommand::Register(self)))
    }

    /// The body of a `PUT` or `PATCH` becomes a command; the number stays what it was.
    pub fn change(self) -> Result<ChatbotCommand, Rejected> {
        self.number()?;
        Ok(ChatbotCommand::Change(self))
    }

    fn number(&self) -> Result<SenderNumber, Rejected> {
        SenderNumber::parse(&self.chatbot_id).map_err(|error| Rejected::field("chatbotId", error.code(), error.to_string()))
    }

    fn registered(&self, context: &Context<'_>) -> ChatbotRegistered {
        ChatbotRegistered {
            id: context.id,
            chatbot_id: context.key.to_owned(),
            brand_id: self.brand_id.clone(),
            name: self.name.clone().unwrap_or_default(),
            status: self.status.unwrap_or_default(),
        }
    }
}

impl Chatbot {
    fn is(&self, draft: &ChatbotDraft) -> bool {
        let name = draft.name.as_deref().unwrap_or_default();
        self.brand_id == draft.brand_id && self.name == name && self.status == draft.status.unwrap_or_default()
    }
}

impl Rejection for ChatbotRejection {
    fn rejected(&self) -> Rejected {
        match self {
            Self::Taken => Rejected::conflict("chatbot-id-taken", "this chatbotId is registered with other content"),
            Self::BrandUnknown => Rejected::rule("brand-unknown", "the brand of this chatbot is not registered"),
            Self::Unknown => Rejected::absent("chatbot-unknown", "there is no such chatbot"),
        }
    }
}

#[cfg(test)]
mod tests {
    use kernel::kit::given;

    use super::*;

    fn draft(number: &str) -> ChatbotDraft {
        ChatbotDraft { chatbot_id: number.into(), brand_id: "pabal".into(), name: None, status: None }
    }

    fn brand() -> Brand {
        Brand { name: "Pabal".into(), brand_id: "pabal".into(), status: Standing::Active }
    }

    #[test]
    fn a_chatbot_is_registered_under_a_registered_brand() {
        let register = ChatbotCommand::Register(draft("0801234567"));
        let then = given::<Chatbot>([]).named("0801234567", 1).with("pabal", brand()).when(register.clone());
        assert_eq!(then.after.unwrap().status, Standing::Active);
        given::<Chatbot>([]).when(register).rejected(&ChatbotRejection::BrandUnknown);
    }

    #[test]
    fn a_chatbot_is_a_sender_number_and_never_an_010_number() {
        assert_eq!(draft("080-123-4567").register().unwrap().key.as_deref(), Some("0801234567"));
        let rejected = draft("01012345678").register().err().unwrap();
        assert_eq!((rejected.errors[0].field.as_str(), rejected.errors[0].code.as_ref()), ("chatbotId", "sender-mobile"));
    }
}
