//! What a first run has: a brand with its chatbot, and recipients who said yes, no, and yes at night too.

use kernel::System;

use crate::validation::brand::{BrandDraft, Standing};
use crate::validation::chatbot::ChatbotDraft;
use crate::validation::consent::ConsentDraft;
use crate::validation::opt_out::OptOutDraft;

/// Adds the rows of a first run, in the order in which they need each other.
pub fn sow(system: System) -> System {
    system
        .seed("brands", &brand("pabal", "Pabal", Standing::Active))
        .seed("brands", &brand("dormant", "Dormant", Standing::Inactive))
        .seed("chatbots", &chatbot("0801234567", "pabal", "Pabal"))
        .seed("chatbots", &chatbot("15881234", "pabal", "Pabal help desk"))
        .seed("chatbots", &chatbot("0809999999", "dormant", "Dormant"))
        .seed("consents", &consent("01012345678", false))
        .seed("consents", &consent("01011112222", true))
        .seed("consents", &consent("01099998888", false))
        .seed("optOuts", &OptOutDraft { user_contact: "01099998888".to_owned(), active: None, source: Some(SOURCE.to_owned()) })
}

const SOURCE: &str = "seed";

fn brand(id: &str, name: &str, status: Standing) -> BrandDraft {
    BrandDraft { brand_id: Some(id.to_owned()), name: name.to_owned(), status: Some(status) }
}

fn chatbot(number: &str, brand: &str, name: &str) -> ChatbotDraft {
    let status = Some(Standing::Active);
    ChatbotDraft { chatbot_id: number.to_owned(), brand_id: brand.to_owned(), name: Some(name.to_owned()), status }
}

fn consent(number: &str, night: bool) -> ConsentDraft {
    let source = Some(SOURCE.to_owned());
    ConsentDraft { user_contact: number.to_owned(), ad: Some(true), night: Some(night), source }
}
