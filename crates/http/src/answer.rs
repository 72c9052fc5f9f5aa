//! One request, one answer: finds what a path names, hands it on, and sees to what every answer carries.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::header::{ALLOW, CONTENT_LENGTH, HeaderName};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};
use futures_util::FutureExt;
use serde_json::json;
use tower::ServiceExt;

use crate::address::Address;
use crate::context::RequestContext;
use crate::problem::Problem;
use crate::site::{Place, Served, Site};
use crate::thing::Spot;
use crate::trail::Trail;
use crate::{ops, problem_types, read, write};

/// A request for a resource, as its handlers see it.
pub(crate) struct Call<'a> {
    pub site: &'a Site,
    pub thing: &'a Arc<Served>,
    pub system: Option<&'static str>,
    pub uri: &'a Uri,
    pub headers: &'a HeaderMap,
    pub context: &'a RequestContext,
    pub trail: &'a Trail,
}

impl Call<'_> {
    /// What links of the answer begin with.
    pub fn address(&self) -> Address {
        Address::of(self.uri, self.headers, &self.site.options, self.system)
    }
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Answers a request.
pub(crate) async fn answer(State(site): State<Arc<Site>>, request: Request) -> Response<Body> {
    let started = Instant::now();
    let context = RequestContext::of(request.headers(), request.extensions());
    let (parts, body) = request.into_parts();
    let trail = Trail::default();
    let handled = AssertUnwindSafe(dispatch(&site, &parts, body, &context, &trail)).catch_unwind().await;
    let result = handled.unwrap_or_else(|panic| Err(Problem::fault(&panic_message(&*panic))));
    let mut response = result.unwrap_or_else(|problem| problem.respond(&context, parts.uri.path()));
    if parts.method == Method::HEAD {
        without_body(&mut response);
    }
    if let Ok(id) = HeaderValue::from_str(&context.request_id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    // What no route explains is counted together, or anybody could make time series.
    let label = trail.route().map_or_else(|| "unmatched".into(), |route| metrics::SharedString::from_shared(route.clone()));
    measure(&parts.method, label, response.status(), started);
    response.extensions_mut().insert(trail);
    response
}

async fn dispatch(
    site: &Arc<Site>,
    parts: &Parts,
    body: Body,
    context: &RequestContext,
    trail: &Trail,
) -> Result<Response<Body>, Problem> {
    match site.find(&parts.uri, &parts.headers) {
        Place::Thing { thing, spot, system } => {
            trail.leads_to(thing.route(spot).clone(), thing.service);
            let call = Call { site, thing, system, uri: &parts.uri, headers: &parts.headers, context, trail };
            serve(&call, spot, &parts.method, body).await
        }
        Place::Several(things) => Err(several(site, parts, things)),
        Place::Missing => Err(Problem::absent("there is nothing at this path")),
        Place::Elsewhere => {
            if let Some(operation) = ops::Operation::of(parts.uri.path(), site) {
                trail.leads_to(Arc::from(operation.template()), "");
                return operation.answer(site, parts, body, context).await;
            }
            elsewhere(site, parts, body).await
        }
    }
}

async fn serve(call: &Call<'_>, spot: Spot, method: &Method, body: Body) -> Result<Response<Body>, Problem> {
    let thing = call.thing;
    match (method.as_str(), spot) {
        ("OPTIONS", _) => options(&thing.allow(spot)),
        ("GET" | "HEAD", Spot::Collection) => read::list(call).await,
        ("GET" | "HEAD", Spot::Entity(id)) => read::entity(call, id).await,
        ("GET" | "HEAD", Spot::Totals) => read::totals(call).await,
        ("GET" | "HEAD", Spot::SearchIndex) => Ok(read::search_index(call)),
        ("GET" | "HEAD", Spot::Search(field)) => read::search(call, field).await,
        ("POST", Spot::Collection) if thing.create.is_some() => write::create(call, body).await,
        ("PUT", Spot::Entity(id)) if thing.replace.is_some() => write::replace(call, body, id).await,
        ("PATCH", Spot::Entity(id)) if thing.replace.is_some() => write::merge(call, body, id).await,
        ("DELETE", Spot::Entity(id)) if thing.delete.is_some() => write::delete(call, id).await,
        ("PUT" | "PATCH" | "POST", Spot::Action(id, action)) => write::act(call, body, id, action, method).await,
        _ => Err(Problem::method_not_allowed(thing.allow(spot))),
    }
}

/// 204 with `Allow`.
pub(crate) fn options(allow: &str) -> Result<Response<Body>, Problem> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(ALLOW, HeaderValue::try_from(allow).map_err(|error| Problem::fault(&error))?);
    Ok(response)
}

/// 300 with the doors that lead to one of them each.
fn several(site: &Site, parts: &Parts, things: &[Arc<Served>]) -> Problem {
    let doors = things.iter().map(|thing| {
        let address = Address::of(&parts.uri, &parts.headers, &site.options, Some(thing.system));
        json!({"system": thing.system, "href": address.things(thing.name)})
    });
    let doors: Vec<_> = doors.collect();
    let detail = "several systems have a resource of this name: take one of the doors, or name the system in X-Pabal-System";
    Problem::of(problem_types::MULTIPLE_CHOICES, detail).with("doors", json!(doors))
}

/// A path that is no resource goes to the front, if there is one.
async fn elsewhere(site: &Site, parts: &Parts, body: Body) -> Result<Response<Body>, Problem> {
    match &site.options.front {
        Some(front) if matches!(parts.method, Method::GET | Method::HEAD) => {
            let request = Request::from_parts(parts.clone(), body);
            Ok(front.clone().oneshot(request).await.unwrap_or_else(|never| match never {}))
        }
        _ => Err(Problem::absent("there is nothing at this path")),
    }
}

/// `HEAD` answers what `GET` would, without its body.
fn without_body(response: &mut Response<Body>) {
    if let Some(length) = response.body().size_hint().exact().filter(|length| *length > 0) {
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    *response.body_mut() = Body::empty();
}

/// Rate, errors and duration, per route.
fn measure(method: &Method, route: metrics::SharedString, status: StatusCode, started: Instant) {
    let method = match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        // Clients may invent methods; they must not invent time series.
        _ => "other",
    };
    let class = match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    };
    metrics::counter!("http_requests_total", "method" => method, "route" => route.clone(), "status" => class).increment(1);
    metrics::histogram!("http_request_duration_seconds", "method" => method, "route" => route).record(started.elapsed());
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("a handler panicked: {}", text.unwrap_or_default())
}
