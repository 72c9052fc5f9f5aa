//! The page at `/` where no console is served: what is running, as HTML or JSON.

use std::fmt::Write;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderValue, Response};
use axum::routing::get;
use http_api::{Problem, RequestContext};
use ports::Model;
use serde_json::{Value, json};

/// A running system, with example commands for the ports that it has here.
pub struct LandingSystem {
    /// Its declarations.
    pub model: Arc<Model>,
    /// Commands, one a line.
    pub try_first: String,
}

/// The front of a process that runs these systems: `/` describes them and links to `links` (address and label), every
/// other path is absent.
pub fn landing(systems: &[LandingSystem], links: &[(&str, &str)]) -> Router {
    let described: Vec<Value> = systems.iter().map(describe).collect();
    let documents = ["/docs", "/openapi.json", "/asyncapi.json", "/problems"];
    let json = json!({"systems": described, "documents": documents}).to_string();
    let html = page(&described, links);
    let root = move |request: Request| {
        let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
        let (media, body) = if accept.contains("text/html") { (HTML, &html) } else { (JSON, &json) };
        let mut response = Response::new(Body::from(body.clone()));
        response.headers_mut().insert(CONTENT_TYPE, media);
        std::future::ready(response)
    };
    Router::new().route("/", get(root)).fallback(absent)
}

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

async fn absent(request: Request) -> Response<Body> {
    let context = RequestContext::from_request(request.headers(), request.extensions());
    Problem::absent("there is nothing at this path").respond(&context, request.uri().path())
}

fn describe(landing: &LandingSystem) -> Value {
    let system = &landing.model.system;
    let services = system.services.iter().map(|service| {
        let resources = service.resources.iter().map(|resource| (resource.name, resource.sentence));
        let resources = resources.chain(service.views.iter().map(|view| (view.name, view.sentence)));
        let resources = resources
            .map(|(name, sentence)| json!({"href": format!("/{}/{name}", system.name), "name": name, "sentence": sentence}));
        json!({"name": service.name, "sentence": service.sentence, "resources": resources.collect::<Vec<_>>()})
    });
    json!({"name": system.name, "sentence": system.sentence, "tryFirst": landing.try_first, "services": services.collect::<Vec<_>>()})
}

fn page(systems: &[Value], links: &[(&str, &str)]) -> String {
    let text = |value: &Value| escape(value.as_str().unwrap_or_default());
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut html = format!("{HEAD}<style>{STYLE}</style>{TOP}<nav>");
    for (href, word) in links {
        // Writing to a string cannot fail.
        let _ = write!(html, "<a href=\"{}\">{}</a>", escape(href), escape(word));
    }
    html.push_str("</nav>");
    for system in systems {
        let _ = write!(html, "<section><h2>{}</h2><p>{}</p>", text(&system["name"]), text(&system["sentence"]));
        let _ = write!(html, "<h3>Try first</h3><pre tabindex=\"0\">{}</pre><div class=\"services\">", text(&system["tryFirst"]));
        for service in list(&system["services"]) {
            let _ = write!(html, "<div><h3>{}</h3><p>{}</p><ul>", text(&service["name"]), text(&service["sentence"]));
            for resource in list(&service["resources"]) {
                let (href, name, sentence) = (text(&resource["href"]), text(&resource["name"]), text(&resource["sentence"]));
                let _ = write!(html, "<li><a href=\"{href}\">{name}</a><br>{sentence}</li>");
            }
            html.push_str("</ul></div>");
        }
        html.push_str("</div></section>");
    }
    html.push_str("</main></html>");
    html
}

const HEAD: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
    <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>Pabal</title><link rel=\"icon\" href=\"data:,\">";

const TOP: &str = "<main><h1>Pabal</h1><p>Services that run here. Nothing accepted is lost, nothing takes effect twice.</p>";

const STYLE: &str = "\
:root{color-scheme:light dark;--paper:#fbfaf7;--card:#fff;--ink:#24272b;--soft:#5c6167;--edge:#ddd9cf;--link:#0b57a4}\
@media(prefers-color-scheme:dark){:root{--paper:#17191c;--card:#1f2226;--ink:#eceae5;--soft:#a9adb3;--edge:#353a42;--link:#8ec2ff}}\
body{font:1rem/1.55 system-ui,-apple-system,'Segoe UI','Noto Sans','Noto Sans KR',sans-serif;background:var(--paper);color:var(--ink);margin:0}\
main{max-width:68rem;margin:0 auto;padding:1.5rem}\
h1{margin:0}h2{margin:2.5rem 0 0}h3{margin:0 0 .25rem;font-size:1rem}p{margin:.25rem 0 1rem;color:var(--soft)}\
a{color:var(--link)}a:focus-visible,pre:focus-visible{outline:3px solid var(--link);outline-offset:2px}\
nav{display:flex;flex-wrap:wrap;gap:.5rem}nav a{padding:.3rem .8rem;border:1px solid var(--edge);border-radius:2rem;background:var(--card);text-decoration:none}\
pre{font:.875rem/1.6 ui-monospace,monospace;white-space:pre-wrap;overflow-wrap:anywhere;background:var(--card);border:1px solid var(--edge);border-radius:.5rem;padding:.75rem 1rem;margin:0 0 1rem}\
.services{display:grid;grid-template-columns:repeat(auto-fill,minmax(18rem,1fr));gap:1rem}\
.services>div{background:var(--card);border:1px solid var(--edge);border-radius:.5rem;padding:1rem}\
ul{list-style:none;margin:0;padding:0;font-size:.9rem}li{margin:.5rem 0 0}";

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
