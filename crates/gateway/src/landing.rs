//! What stands behind `/` where no console is served: a page, or JSON, that tells what is running.

use std::fmt::Write;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderValue, Response};
use axum::routing::get;
use http_api::{Problem, RequestContext};
use runtime::Model;
use serde_json::{Value, json};

/// The front of a process that runs these systems: `/` tells of them, everything else is absent.
pub fn landing(models: &[Arc<Model>]) -> Router {
    let described: Vec<Value> = models.iter().map(|model| describe(model)).collect();
    let json = json!({"systems": described, "documents": ["/docs", "/openapi.json", "/asyncapi.json"]}).to_string();
    let html = page(&described);
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
    let context = RequestContext::of(request.headers(), request.extensions());
    Problem::absent("there is nothing at this path").respond(&context, request.uri().path())
}

fn describe(model: &Model) -> Value {
    let system = &model.system;
    let things = system.services.iter().flat_map(|service| {
        let resources = service.resources.iter().map(|resource| (resource.name, resource.sentence));
        resources.chain(service.views.iter().map(|view| (view.name, view.sentence)))
    });
    let things =
        things.map(|(name, sentence)| json!({"href": format!("/{}/{name}", system.name), "name": name, "sentence": sentence}));
    json!({"name": system.name, "sentence": system.sentence, "tryFirst": system.try_first, "resources": things.collect::<Vec<_>>()})
}

fn page(systems: &[Value]) -> String {
    let text = |value: &Value| escape(value.as_str().unwrap_or_default());
    let mut html = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Pabal</title><style>:root{color-scheme:light dark}body{font:16px/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}\
         pre{overflow:auto}</style><main><h1>Pabal</h1><p><a href=\"/docs\">API</a> · <a href=\"/readyz\">health</a></p>",
    );
    for system in systems {
        // Writing to a string cannot fail.
        let _ = write!(html, "<h2>{}</h2><p>{}</p><ul>", text(&system["name"]), text(&system["sentence"]));
        for thing in system["resources"].as_array().into_iter().flatten() {
            let (href, name, sentence) = (text(&thing["href"]), text(&thing["name"]), text(&thing["sentence"]));
            let _ = write!(html, "<li><a href=\"{href}\">{name}</a> – {sentence}</li>");
        }
        let _ = write!(html, "</ul><pre>{}</pre>", text(&system["tryFirst"]));
    }
    html.push_str("</main></html>");
    html
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
