//! Query strings, parsed strictly: invalid UTF-8 is an error rather than replaced.

use std::fmt::Write;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};

use crate::problem::Problem;

/// Names and values, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Params(Vec<(String, String)>);

/// Characters that a query must escape.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b',').remove(b':');

impl Params {
    /// Parses a query, or a form.
    pub fn parse(query: Option<&str>) -> Result<Self, Problem> {
        let parts = query.unwrap_or_default().split('&').filter(|part| !part.is_empty());
        let pairs = parts.map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Ok((decode(name)?, decode(value)?))
        });
        pairs.collect::<Result<_, Problem>>().map(Self)
    }

    /// The first value of that name; an empty one counts as absent, since pages send unused filters so.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut pairs = self.0.iter();
        pairs.find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// All values of that name, without empty ones.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// A whole number, 0 or more.
    pub fn number(&self, name: &str) -> Result<Option<u64>, Problem> {
        let parse = |text: &str| text.parse().map_err(|_| Problem::field(name, "type", "must be a whole number, 0 or more"));
        self.get(name).map(parse).transpose()
    }

    /// `true` or `false`, absent being `false`.
    pub fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Problem::field(name, "type", "must be true or false")),
        }
    }

    /// The query of a link: these parameters without some and with others at the end, `?a=b&c=d`, or nothing.
    pub fn link(&self, without: &[&str], with: &[(&str, &str)]) -> String {
        let kept = self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let kept = kept.filter(|(name, _)| !without.contains(name));
        let mut link = String::new();
        for (name, value) in kept.chain(with.iter().copied()) {
            let sign = if link.is_empty() { '?' } else { '&' };
            let (name, value) = (utf8_percent_encode(name, ESCAPED), utf8_percent_encode(value, ESCAPED));
            // Writing to a string cannot fail.
            let _ = write!(link, "{sign}{name}={value}");
        }
        link
    }

    /// Names and values.
    pub fn into_pairs(self) -> Vec<(String, String)> {
        self.0
    }
}

fn decode(text: &str) -> Result<String, Problem> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode(spaced.as_bytes()).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|_| Problem::field("query", "utf-8", "is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_encoded_again() {
        let params = Params::parse(Some("name=%EA%B9%80+x&empty=&page=2")).unwrap();
        assert_eq!((params.get("name"), params.get("empty")), (Some("김 x"), None));
        assert_eq!(params.link(&["page", "empty"], &[("page", "3")]), "?name=%EA%B9%80%20x&page=3");
    }

    #[test]
    fn invalid_utf8_is_rejected() {
        assert!(Params::parse(Some("name=%FF")).is_err());
    }

    #[test]
    fn a_negative_number_is_rejected() {
        let params = Params::parse(Some("size=-1")).unwrap();
        assert!(params.number("size").is_err());
    }
}
