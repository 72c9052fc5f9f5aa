//! Rules of Korean telecommunications that several systems share.
//!
//! | module | what it knows |
//! |---|---|
//! | [`phone`] | mobile numbers and sender numbers: reading, normalising, masking |
//! | [`carrier`] | the three network operators and the ways people spell them |
//! | [`content`] | message types and their limits, as versioned editions |
//! | [`advert`] | advertising law: marks, the night window, and texts that look like advertisements |
//! | [`price`] | default prices per message type, in won |
//! | [`finding`] | one thing wrong with a message, as every check reports it |
#![doc = include_str!("../README.md")]

pub mod advert;
pub mod carrier;
pub mod content;
pub mod finding;
pub mod phone;
pub mod price;

pub use advert::judge::{Judgement, judge};
pub use advert::marks::check_marks;
pub use advert::night::NightWindow;
pub use carrier::{Carrier, UnknownCarrier};
pub use content::{Content, Edition, Limits, MessageType};
pub use finding::Finding;
pub use phone::{MobileNumber, PhoneError, SenderNumber};
pub use price::Prices;

/// Compiles the patterns of the advertising rules, which takes a hundred milliseconds where nothing is optimised, before
/// the first message needs them. A text of the usual kind, because patterns build a part of themselves as they read.
pub fn warm_up() {
    let text = "(광고) 전 품목 50% 할인 이벤트, 지금 바로 확인하세요. 무료수신거부 0801234567";
    judge(text);
    check_marks(text);
}
