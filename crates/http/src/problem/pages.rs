//! `/problems` and `/problems/{slug}`: what the `type` of a problem leads to, as a page in browsers and as JSON otherwise.

use std::fmt::Write;

use axum::body::Body;
use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue, Response};
use serde_json::{Value, json};

use super::Problem;
use super::types::{self, ALL, ProblemType, title};

/// Every problem type of the platform.
pub(crate) fn index(headers: &HeaderMap) -> Response<Body> {
    if !wants_html(headers) {
        let all: Vec<Value> = ALL.iter().map(|kind| described(kind.slug, Some(kind))).collect();
        return respond("application/json", json!({"problems": all}).to_string());
    }
    let mut rows = String::new();
    for kind in ALL {
        let (slug, status, means) = (kind.slug, kind.status.as_u16(), with_code(kind.means));
        // Writing to a string cannot fail.
        let _ = write!(rows, "<tr><td>{status}<td><a href=\"/problems/{slug}\">{slug}</a><td>{means}</tr>");
    }
    let body = format!("<h1>Problems</h1><table><tr><th>Status<th>Problem<th>What has happened</tr>{rows}</table><p>{RULES}</p>");
    respond("text/html; charset=utf-8", page("Problems", &body))
}

/// One problem type. A slug that the platform does not define is a rule of a service.
pub(crate) fn one(slug: &str, headers: &HeaderMap) -> Result<Response<Body>, Problem> {
    if !types::is_slug(slug) {
        return Err(Problem::absent("there is no problem of this name"));
    }
    let kind = types::by_slug(slug);
    if !wants_html(headers) {
        return Ok(respond("application/json", described(slug, kind).to_string()));
    }
    let (means, what_to_do) = texts(kind);
    let status = kind.map(|kind| format!("<p class=\"status\">{}</p>", kind.status)).unwrap_or_default();
    let body = format!(
        "<p><a href=\"/problems\">All problems</a></p><h1>{}</h1>{status}<h2>What has happened</h2><p>{}</p>\
         <h2>What to do</h2><p>{}</p>",
        title(slug),
        with_code(means),
        with_code(what_to_do)
    );
    Ok(respond("text/html; charset=utf-8", page(&title(slug), &body)))
}

const RULES: &str =
    "Services have rules of their own; the <code>detail</code> of their problems says what each of them requires.";

fn texts(kind: Option<&ProblemType>) -> (&'static str, &'static str) {
    let of_a_service = (
        "A rule of a service rejected the request. Nothing has changed.",
        "The answer's `detail` is the rule's own sentence, and `errors` names the fields it is about. \
         The same request will be rejected until they change.",
    );
    kind.map_or(of_a_service, |kind| (kind.means, kind.what_to_do))
}

fn described(slug: &str, kind: Option<&ProblemType>) -> Value {
    let (means, what_to_do) = texts(kind);
    json!({
        "type": format!("/problems/{slug}"),
        "title": title(slug),
        "status": kind.map(|kind| kind.status.as_u16()),
        "means": means,
        "whatToDo": what_to_do,
    })
}

fn wants_html(headers: &HeaderMap) -> bool {
    headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(|accept| accept.contains("text/html"))
}

/// Words between backticks are code. The table's texts need no escaping; a test checks it.
fn with_code(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts.map(|(place, part)| if place % 2 == 1 { format!("<code>{part}</code>") } else { part.to_owned() }).collect()
}

fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{title} – Pabal</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>{STYLE}</style>\n<main>{body}</main>\n</html>\n"
    )
}

const STYLE: &str = ":root{color-scheme:light dark}\
body{font:1rem/1.6 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem}\
h1{margin:.5rem 0}h2{font-size:1rem;margin:1.5rem 0 0}p{margin:.25rem 0}\
.status{color:color-mix(in srgb,CanvasText 65%,Canvas)}\
table{border-collapse:collapse}td,th{text-align:left;vertical-align:top;padding:.3rem .75rem .3rem 0}td:nth-child(2){white-space:nowrap}";

fn respond(media_type: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_needs_escaping() {
        let texts = ALL.iter().map(Some).chain([None]).flat_map(|kind| <[&str; 2]>::from(texts(kind)));
        for text in texts {
            assert!(!text.contains(['<', '>', '&', '"']), "{text}");
            assert_eq!(text.matches('`').count() % 2, 0, "{text}");
        }
    }

    #[test]
    fn backticks_become_code() {
        assert_eq!(with_code("see `Allow` there"), "see <code>Allow</code> there");
    }
}
