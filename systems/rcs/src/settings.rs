//! What an installation may set about business messages, with the defaults of the specification.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use telecom::{NightWindow, Prices};

/// The settings of this system. The zone in which hours are meant is the installation's, not ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct RcsSettings {
    /// What becomes of an advertisement that may not be sent at night.
    pub night: Night,
    /// When it is night.
    pub night_window: NightWindow,
    /// What becomes of a text that looks like an advertisement and is not marked as one.
    pub unmarked_ad: UnmarkedAd,
    /// How long to wait before each further try, milliseconds; as many retries as there are entries.
    pub retry_delays_ms: Vec<u64>,
    /// How long a message may be under way before it expires, milliseconds.
    pub validity_ms: u64,
    /// How fast the embedded handsets are.
    pub simulator: SimulatorDelays,
    /// What a delivered message costs, won.
    pub prices: Prices,
}

/// An advertisement at night without night consent is …
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Night {
    /// … held until the night is over.
    #[default]
    Hold,
    /// … refused.
    Refuse,
}

/// A text that looks like an unmarked advertisement is …
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum UnmarkedAd {
    /// … let through with a finding.
    #[default]
    LetThrough,
    /// … held until an operator releases or refuses it.
    Hold,
    /// … refused.
    Refuse,
}

/// The delays of the embedded handset simulator; what the number table names no delay for takes none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct SimulatorDelays {
    /// An ordinary receipt, milliseconds after the acceptance.
    pub receipt_ms: u64,
    /// A handset that is off comes on again after this, milliseconds.
    pub off_ms: u64,
    /// A late receipt is this late, milliseconds.
    pub late_ms: u64,
    /// A reader reads this long after the receipt, milliseconds.
    pub read_ms: u64,
}

impl Default for RcsSettings {
    fn default() -> Self {
        Self {
            night: Night::default(),
            night_window: NightWindow::default(),
            unmarked_ad: UnmarkedAd::default(),
            retry_delays_ms: vec![5_000, 30_000, 120_000, 600_000],
            validity_ms: 24 * 3_600_000,
            simulator: SimulatorDelays::default(),
            prices: Prices::default(),
        }
    }
}

impl Default for SimulatorDelays {
    fn default() -> Self {
        Self { receipt_ms: 0, off_ms: 30_000, late_ms: 10_000, read_ms: 0 }
    }
}
