//! Advertising by electronic message, as Korean law rules it (정보통신망법, Art. 50; Decree
//! 61–62-3).
//!
//! | module | question it answers |
//! |---|---|
//! | [`marks`] | does an advertisement carry the marks it must? |
//! | [`night`] | is it night, when advertising needs a separate consent, and when is it over? |
//! | [`judge`] | does a text look like an advertisement, whatever its sender calls it? |
//! | [`rules`] | the weighted rules of that judgement, as versioned data |

pub mod judge;
pub mod marks;
pub mod night;
pub mod rules;
