//! Brands: the companies in whose name chatbots speak.

use kernel::aggregate::Aggregate;
use kernel::{Context, Decision, New, NoEffect, NoSettings, Rejected, Rejection};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A brand, keyed by its `brandId`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brand {
    /// Its name for people.
    pub name: String,
    /// Its own id.
    pub brand_id: String,
    /// Whether it may be used.
    pub status: Standing,
}

/// Whether something registered may be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Standing {
    /// It may.
    #[default]
    Active,
    /// It may not, for the time being.
    Inactive,
}

/// A brand as it is handed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BrandDraft {
    /// Its id; absent, one is made.
    #[schemars(length(max = 64))]
    pub brand_id: Option<String>,
    /// Its name for people.
    #[schemars(length(max = 200))]
    pub name: String,
    /// `active` if absent.
    pub status: Option<Standing>,
}

/// What may be asked of a brand.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub enum BrandCommand {
    /// Register it.
    Register(BrandDraft),
    /// Change it.
    Change(BrandDraft),
    /// Take it off the register.
    Remove,
}

kernel::events! {
    /// What happens to a brand.
    pub enum BrandEvent {
        /// It stands in the register like this.
        BrandRegistered,
        /// It is off the register.
        BrandRemoved,
    }
}

/// A brand stands in the register like this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BrandRegistered {
    /// Its id in the resource.
    pub id: u64,
    /// Its own id.
    pub brand_id: String,
    /// Its name.
    pub name: String,
    /// Whether it may be used.
    pub status: Standing,
}

/// A brand is off the register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BrandRemoved {
    /// Its id in the resource.
    pub id: u64,
    /// Its own id.
    pub brand_id: String,
}

/// Why a brand says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrandRejection {
    /// Another brand has this id.
    Taken,
    /// There is no such brand.
    Unknown,
}

impl Aggregate for Brand {
    const NAME: &'static str = "brand";
    type Command = BrandCommand;
    type Event = BrandEvent;
    type Effect = NoEffect;
    type Rejection = BrandRejection;
    type Settings = NoSettings;

    fn decide(now: Option<&Self>, command: &BrandCommand, context: &Context<'_>) -> Result<Decision<Self>, BrandRejection> {
        let registered = |draft: &BrandDraft| draft.registered(context.id, context.key);
        match (command, now) {
            (BrandCommand::Register(draft) | BrandCommand::Change(draft), Some(brand)) if brand.is(&registered(draft)) => {
                Ok(Decision::nothing())
            }
            (BrandCommand::Register(_), Some(_)) => Err(BrandRejection::Taken),
            (BrandCommand::Register(draft), None) | (BrandCommand::Change(draft), Some(_)) => {
                Ok(Decision::event(registered(draft)))
            }
            (BrandCommand::Remove, Some(brand)) => {
                let removed = BrandRemoved { id: context.id, brand_id: brand.brand_id.clone() };
                Ok(Decision::event(removed))
            }
            (BrandCommand::Change(_) | BrandCommand::Remove, None) => Err(BrandRejection::Unknown),
        }
    }

    fn evolve(_: Option<Self>, event: &BrandEvent) -> Option<Self> {
        match event {
            BrandEvent::BrandRegistered(brand) => {
                Some(Self { name: brand.name.clone(), brand_id: brand.brand_id.clone(), status: brand.status })
            }
            BrandEvent::BrandRemoved(_) => None,
        }
    }
}

impl BrandDraft {
    /// The body of a `POST` becomes a command.
    pub fn register(self) -> Result<New<Brand>, Rejected> {
        Ok(New::keyed(self.brand_id.clone(), BrandCommand::Register(self)))
    }

    /// The body of a `PUT` or `PATCH` becomes a command; the id stays what it was.
    pub fn change(self) -> Result<BrandCommand, Rejected> {
        Ok(BrandCommand::Change(self))
    }

    fn registered(&self, id: u64, key: &str) -> BrandRegistered {
        BrandRegistered { id, brand_id: key.to_owned(), name: self.name.clone(), status: self.status.unwrap_or_default() }
    }
}

impl Brand {
    fn is(&self, registered: &BrandRegistered) -> bool {
        self.name == registered.name && self.status == registered.status
    }
}

impl Rejection for BrandRejection {
    fn rejected(&self) -> Rejected {
        match self {
            Self::Taken => Rejected::conflict("brand-id-taken", "another brand has this brandId"),
            Self::Unknown => Rejected::absent("brand-unknown", "there is no such brand"),
        }
    }
}

#[cfg(test)]
mod tests {
    use kernel::kit::given;

    use super::*;

    fn draft(status: Standing) -> BrandDraft {
        BrandDraft { brand_id: Some("pabal".into()), name: "Pabal".into(), status: Some(status) }
    }

    fn registered(status: Standing) -> BrandEvent {
        BrandEvent::BrandRegistered(draft(status).registered(1, "pabal"))
    }

    #[test]
    fn a_brand_is_registered_once_and_can_be_set_inactive() {
        let register = BrandCommand::Register(draft(Standing::Active));
        given::<Brand>([]).named("pabal", 1).when(register.clone()).then([registered(Standing::Active)]);
        let known = given::<Brand>([registered(Standing::Active)]).named("pabal", 1);
        known.when(register).nothing();
        let known = given::<Brand>([registered(Standing::Active)]).named("pabal", 1);
        let then = known.when(BrandCommand::Change(draft(Standing::Inactive))).then([registered(Standing::Inactive)]);
        assert_eq!(then.after.unwrap().status, Standing::Inactive);
    }

    #[test]
    fn another_brand_of_the_same_id_is_a_conflict() {
        let other = BrandDraft { name: "Other".into(), ..draft(Standing::Active) };
        given::<Brand>([registered(Standing::Active)]).when(BrandCommand::Register(other)).rejected(&BrandRejection::Taken);
    }

    #[test]
    fn a_removed_brand_is_no_more() {
        assert!(given::<Brand>([registered(Standing::Active)]).when(BrandCommand::Remove).after.is_none());
    }
}
