//! Who carries a number: asked of a directory, because prefixes say nothing after number portability.

use kernel::Question;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use telecom::Carrier;

/// The question which carrier a number is with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CarrierOf {
    /// The number in national digits.
    pub number: String,
}

impl Question for CarrierOf {
    const PORT: &'static str = "carrier-directory";
    type Answer = Carrier;
}

/// The directory that comes with the system: a few ported numbers, and no opinion about all others.
pub fn embedded(question: &CarrierOf) -> Option<Carrier> {
    PORTED.iter().find(|(number, _)| *number == question.number).map(|(_, carrier)| *carrier)
}

const PORTED: [(&str, Carrier); 3] = [("01099990001", Carrier::Skt), ("01099990002", Carrier::Kt), ("01099990003", Carrier::Lgu)];
