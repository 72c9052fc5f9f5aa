//! The query of a list: page, size, sort, filters and periods, and the links to the neighbouring pages.

use std::fmt::Write;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use kernel::IndexValue;
use kernel::field::Ask;
use ports::query::OFFSET_LIMIT;
use ports::{Condition, Cursor, Query, Sort, Start, Total};

use crate::problem::Problem;
use crate::request::Params;
use crate::resource::{QueryField, Resource, ValueKind};

/// Rows of a page where the query does not say.
const DEFAULT_SIZE: u32 = 20;
/// Rows of a page at most.
const MAX_SIZE: u32 = 1000;

/// A list as a query asks for it.
pub(crate) struct Listing {
    pub query: Query,
    pub page: u64,
    pub size: u32,
    params: Params,
}

impl Listing {
    /// Parses a query; every error names its parameter.
    pub fn try_new(resource: &Resource, params: Params, zone: &TimeZone) -> Result<Self, Problem> {
        let (page_param, size_param) = (params.number("page")?, params.number("size")?);
        let default_size = if resource.unpaged && page_param.is_none() && size_param.is_none() { MAX_SIZE } else { DEFAULT_SIZE };
        // Existing clients ask for larger pages; the response's `page.size` says what they get.
        let size = size_param.map_or(default_size, |size| u32::try_from(size).unwrap_or(MAX_SIZE).min(MAX_SIZE));
        if size == 0 {
            return Err(Problem::field("size", "range", "must be at least 1"));
        }
        let page = page_param.unwrap_or(0);
        let sort = sort(resource, &params)?;
        let start = match params.get("cursor") {
            Some(cursor) => Start::After(parse_cursor(cursor)?),
            None => Start::Offset(offset(page, size)?),
        };
        let conditions = conditions(resource, &params, zone)?;
        Ok(Self { query: Query { conditions, sort, start, limit: size }, page, size, params })
    }

    /// The member `_links` of the list at `href`.
    pub fn links(&self, href: &str, total: Total, next: Option<&Cursor>) -> String {
        let size = self.size.to_string();
        let paged =
            |page: u64| self.params.link(&["page", "size", "cursor", "format"], &[("page", &page.to_string()), ("size", &size)]);
        let reachable = |page: u64| page.checked_mul(self.size.into()).is_some_and(|rows| rows <= OFFSET_LIMIT);
        let last = self.pages(total).saturating_sub(1);
        let mut links = vec![("first", paged(0))];
        if self.page > 0 && reachable(self.page - 1) {
            links.push(("prev", paged(self.page - 1)));
        }
        links.push(("self", self.params.link(&["format"], &[])));
        if let Some(next) = next {
            let page = self.page + 1;
            let mut link = paged(page);
            if !reachable(page) {
                let cursor = Params::default().link(&[], &[("cursor", &format_cursor(next))]);
                link.push_str(&cursor.replace('?', "&"));
            }
            links.push(("next", link));
        }
        // The last page is unknown where counting stopped, and unreachable by number beyond the limit.
        if total.exact && reachable(last) {
            links.push(("last", paged(last)));
        }
        let mut json = String::from("{");
        for (index, (name, query)) in links.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let _ = write!(json, r#"{comma}"{name}":{{"href":"{href}{query}"}}"#);
        }
        json.push('}');
        json
    }

    /// The member `page`.
    pub fn page(&self, total: Total) -> String {
        let (size, rows, pages, number) = (self.size, total.rows, self.pages(total), self.page);
        // Where counting stopped, there are at least that many.
        let at_least = if total.exact { "" } else { r#","totalIsAtLeast":true"# };
        format!(r#"{{"size":{size},"totalElements":{rows},"totalPages":{pages},"number":{number}{at_least}}}"#)
    }

    fn pages(&self, total: Total) -> u64 {
        total.rows.div_ceil(self.size.into())
    }
}

fn offset(page: u64, size: u32) -> Result<u64, Problem> {
    let offset = page.checked_mul(size.into()).filter(|offset| *offset <= OFFSET_LIMIT);
    let detail = format!("pages beyond {OFFSET_LIMIT} rows are reached by the cursor that `next` carries");
    offset.ok_or_else(|| Problem::field("page", "too-deep", detail))
}

fn sort(resource: &Resource, params: &Params) -> Result<Sort, Problem> {
    let mut asked = params.all("sort");
    let Some(first) = asked.next() else { return Ok(Sort { field: None, descending: false }) };
    let (name, direction) = first.split_once(',').unwrap_or((first, "asc"));
    let descending = match direction.to_ascii_lowercase().as_str() {
        "asc" | "" => false,
        "desc" => true,
        _ => return Err(Problem::field("sort", "direction", "must be `field,asc` or `field,desc`")),
    };
    if asked.next().is_some() {
        return Err(Problem::field("sort", "several", "a list is sorted by one field; ties are broken by id"));
    }
    let field = resource.fields.iter().position(|field| field.info.name == name);
    if field.is_none() && name != "id" {
        let sortable: Vec<&str> = std::iter::once("id").chain(resource.fields.iter().map(|field| field.info.name)).collect();
        let detail = format!("sortable are {}", sortable.join(", "));
        return Err(Problem::field("sort", "not-sortable", detail).with("sortable", serde_json::json!(sortable)));
    }
    Ok(Sort { field, descending })
}

fn conditions(resource: &Resource, params: &Params, zone: &TimeZone) -> Result<Vec<(usize, Condition)>, Problem> {
    let mut conditions = Vec::new();
    for (index, field) in resource.fields.iter().enumerate() {
        let condition = if field.info.ask == Ask::Period {
            let end = |suffix: &str| {
                let name = format!("{}{suffix}", field.info.name);
                params.get(&name).map(|text| parse_instant(&name, text, zone)).transpose()
            };
            let (from, to) = (end("From")?, end("To")?);
            (from.is_some() || to.is_some()).then_some(Condition::Within(from, to))
        } else {
            params.get(field.info.name).map(|text| parse_value(field, text, zone).map(Condition::Is)).transpose()?
        };
        conditions.extend(condition.map(|condition| (index, condition)));
    }
    Ok(conditions)
}

/// A value of a declared field, as written in a query.
fn parse_value(field: &QueryField, text: &str, zone: &TimeZone) -> Result<IndexValue, Problem> {
    let name = field.info.name;
    match field.kind {
        ValueKind::Text => Ok(IndexValue::Text(text.to_owned())),
        ValueKind::Instant => parse_instant(name, text, zone).map(IndexValue::Int),
        ValueKind::Integer => {
            text.parse().map(IndexValue::Int).map_err(|_| Problem::field(name, "type", "must be a whole number"))
        }
    }
}

/// RFC 3339, or a date or date-time in the zone of the installation; in milliseconds since 1970.
pub(crate) fn parse_instant(name: &str, text: &str, zone: &TimeZone) -> Result<i64, Problem> {
    // An unescaped plus sign arrives as a space.
    let text = text.replace(' ', "+");
    let here = |time: DateTime| time.to_zoned(zone.clone()).ok().map(|zoned| zoned.timestamp());
    let instant = text.parse::<Timestamp>().ok();
    let instant = instant.or_else(|| here(text.parse::<DateTime>().ok()?));
    let instant = instant.or_else(|| here(text.parse::<Date>().ok()?.to_datetime(jiff::civil::Time::midnight())));
    instant
        .map(Timestamp::as_millisecond)
        .ok_or_else(|| Problem::field(name, "format", "must be an instant in RFC 3339, or a date"))
}

/// The id, and the value that the list is sorted by: `17`, `17~i1727053200000`, `17~tred`.
fn format_cursor(cursor: &Cursor) -> String {
    match &cursor.value {
        IndexValue::Null => cursor.id.to_string(),
        IndexValue::Int(number) => format!("{}~i{number}", cursor.id),
        IndexValue::Text(text) => format!("{}~t{text}", cursor.id),
    }
}

fn parse_cursor(text: &str) -> Result<Cursor, Problem> {
    let invalid = || Problem::field("cursor", "format", "must be one that `next` carried");
    let (id, value) = text.split_once('~').map_or((text, None), |(id, value)| (id, Some(value)));
    let value = match value.map(|value| (value.get(..1), value.get(1..).unwrap_or_default())) {
        None => IndexValue::Null,
        Some((Some("i"), number)) => IndexValue::Int(number.parse().map_err(|_| invalid())?),
        Some((Some("t"), text)) => IndexValue::Text(text.to_owned()),
        Some(_) => return Err(invalid()),
    };
    let id = id.parse().ok().filter(|id| i64::try_from(*id).is_ok()).ok_or_else(invalid)?;
    Ok(Cursor { value, id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_the_same_after_a_link_carried_it() {
        for value in [IndexValue::Null, IndexValue::Int(-5), IndexValue::Text("a~b한".into())] {
            let cursor = Cursor { value, id: 17 };
            assert_eq!(parse_cursor(&format_cursor(&cursor)).unwrap(), cursor);
        }
        assert!(parse_cursor("x").is_err() && parse_cursor("1~").is_err() && parse_cursor("1~ix").is_err());
    }

    #[test]
    fn a_date_without_a_zone_is_in_the_zone_of_the_installation() {
        let seoul = TimeZone::get("Asia/Seoul").unwrap();
        let midnight = parse_instant("from", "2024-09-23", &seoul).unwrap();
        assert_eq!(midnight, parse_instant("from", "2024-09-22T15:00:00Z", &seoul).unwrap());
        assert_eq!(midnight, parse_instant("from", "2024-09-23T00:00:00 09:00", &seoul).unwrap());
        assert!(parse_instant("from", "soon", &seoul).is_err());
    }

    #[test]
    fn next_carries_a_cursor_beyond_the_last_page_that_a_number_reaches() {
        let params = Params::parse(Some("page=10&size=1000&title=a%20b")).unwrap();
        let listing = Listing { query: Query::first(1000), page: 10, size: 1000, params };
        let next = Cursor { value: IndexValue::Text("한".into()), id: 7 };
        let links = listing.links("http://h/t", Total { rows: 10_000, exact: false }, Some(&next));
        let links: serde_json::Value = serde_json::from_str(&links).unwrap();
        assert_eq!(links["next"]["href"], "http://h/t?title=a%20b&page=11&size=1000&cursor=7~t%ED%95%9C");
        assert_eq!(links["prev"]["href"], "http://h/t?title=a%20b&page=9&size=1000");
        assert!(links.get("last").is_none());
        assert!(listing.page(Total { rows: 10_000, exact: false }).contains("totalIsAtLeast"));
    }

    #[test]
    fn page_numbers_end_where_only_a_cursor_reaches() {
        assert_eq!(offset(10, 1000).unwrap(), 10_000);
        assert_eq!(offset(11, 1000).unwrap_err().status(), 400);
        assert!(offset(u64::MAX, 1000).is_err());
    }
}
