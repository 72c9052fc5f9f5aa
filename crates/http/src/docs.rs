//! A page that shows the documents to people, without a line from anywhere else: it works offline.

/// The page at `/docs`.
pub(crate) const PAGE: &str = include_str!("docs.html");
