//! The HTTP resources of the system, on one page: each resource is a table of what may be asked of it.

use kernel::resource;
use kernel::resource::Resource;

use crate::bodies::{
    BrandBody, ChatbotBody, ConsentBody, DeliveryBody, MessageBody, OptOutBody, ValidationBody, brand, chatbot, consent,
    delivery, message, opt_out, validation,
};
use crate::delivery::Delivery;
use crate::draft::Draft;
use crate::message::{self, Message};
use crate::validation::brand::{Brand, BrandCommand, BrandDraft};
use crate::validation::chatbot::{Chatbot, ChatbotCommand, ChatbotDraft};
use crate::validation::consent::{Consent, ConsentCommand, ConsentDraft};
use crate::validation::opt_out::{OptOut, OptOutCommand, OptOutDraft};
use crate::validation::{self, RejectRequest, Validation};

/// Messages on their sender's side.
pub fn messages() -> Resource<Message, MessageBody> {
    resource("messages", "Messages as their senders handed them in.", message)
        .create("Accept a message.", Draft::send)
        .replace("Put a message back as it is; what is under way is not changed.", Draft::replace)
        .delete("Cancel a message.", || message::Command::Cancel)
        .search_key("messageId", |it: &Message| (&it.letter.message_id).into())
}

/// Validations; operators decide about those that are held.
pub fn validators() -> Resource<Validation, ValidationBody> {
    resource("validators", "What validation says about each message.", validation)
        .action(
            "release",
            "Let a held message pass.",
            |_: kernel::resource::NoBody| Ok(validation::Command::Release),
            Validation::waits_for_operator,
        )
        .action(
            "refuse",
            "Refuse a held message.",
            |request: RejectRequest| Ok(validation::Command::Refuse(request)),
            Validation::is_held,
        )
        .search_key("messageId", |it: &Validation| (&it.letter.message_id).into())
}

/// Deliveries; only policies change them.
pub fn devices() -> Resource<Delivery, DeliveryBody> {
    resource("devices", "Each message as it was delivered.", delivery)
        .search_key("messageId", |it: &Delivery| (&it.letter.message_id).into())
}

/// The register of brands.
pub fn brands() -> Resource<Brand, BrandBody> {
    resource("brands", "The brands in whose name chatbots speak.", brand)
        .create("Register a brand.", BrandDraft::register)
        .replace("Change a brand.", BrandDraft::change)
        .delete("Take a brand off the register.", || BrandCommand::Remove)
        .search("brandId", |it: &Brand| (&it.brand_id).into())
}

/// The register of chatbots.
pub fn chatbots() -> Resource<Chatbot, ChatbotBody> {
    resource("chatbots", "The sender numbers under which brands speak.", chatbot)
        .create("Register a chatbot.", ChatbotDraft::register)
        .replace("Change a chatbot.", ChatbotDraft::change)
        .delete("Take a chatbot off the register.", || ChatbotCommand::Remove)
        .search("chatbotId", |it: &Chatbot| (&it.chatbot_id).into())
}

/// Consents to advertising.
pub fn consents() -> Resource<Consent, ConsentBody> {
    resource("consents", "Who consented to advertising, with every change.", consent)
        .create("Note a consent.", ConsentDraft::note)
        .replace("Note a changed consent.", ConsentDraft::renote)
        .delete("Withdraw a consent; its history stays.", || ConsentCommand::Withdraw)
        .search("userContact", |it: &Consent| (&it.user_contact).into())
}

/// Opt-outs from advertising.
pub fn opt_outs() -> Resource<OptOut, OptOutBody> {
    resource("optOuts", "Who wants no advertising any more, with every change.", opt_out)
        .create("Note an opt-out.", OptOutDraft::note)
        .replace("Note a changed opt-out.", OptOutDraft::renote)
        .delete("Take an opt-out back; its history stays.", || OptOutCommand::TakeBack)
        .search("userContact", |it: &OptOut| (&it.user_contact).into())
}
