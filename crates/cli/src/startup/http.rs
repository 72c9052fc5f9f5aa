//! The HTTP side: routes behind each socket, and what the settings mean to the routers and to the gateway.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use axum::Router;
use driver::Engine;
use gateway::{GatewayOptions, Listener, Origins, Rate};
use http_api::HttpOptions;
use jiff::tz::TimeZone;

use super::engines::Engines;
use super::gauges::{Gauges, Recorder};
use super::landing;
use super::sockets::{Addresses, Sockets};
use super::source::EngineSource;
use crate::config::Config;
use crate::failed::Failed;

/// Sockets with their routes, ready to serve.
pub struct HttpServer {
    listeners: Vec<Listener>,
    options: GatewayOptions,
}

impl HttpServer {
    /// Everything behind the gateway's socket, a single service behind its own.
    pub fn new(
        config: &Config,
        sockets: Sockets,
        engines: &Engines,
        source: &impl EngineSource,
        recorder: Recorder,
    ) -> Result<Self, Failed> {
        let gauges = Gauges::new(engines);
        let (to_render, to_detail) = (gauges.clone(), gauges);
        let ready = Arc::new(AtomicBool::new(true));
        let options = HttpOptions {
            ready: ready.clone(),
            metrics: Some(Arc::new(move || {
                to_render.record();
                recorder.render()
            })),
            details: Some(Arc::new(move |engine| to_detail.details(engine))),
            ..http_options(config, &sockets.addresses, &engines.running, source.zone().clone())
        };
        let forwarding = source.forwarding(&options)?;
        let local = http_api::router(engines.running.clone(), options.clone());
        let mut listeners = vec![Listener { router: local, socket: sockets.gateway }];
        for (service, listener) in sockets.own {
            listeners.push(Listener { router: router_of(service, &engines.running, &options), socket: listener });
        }
        if let Some(forwarding) = forwarding {
            for one in &mut listeners {
                one.router = forwarding.around(std::mem::take(&mut one.router));
            }
        }
        Ok(Self { listeners, options: gateway_options(config, ready) })
    }

    /// Serves until `shutdown`, and then until the requests in flight are answered or the grace period is over.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<(), Failed> {
        let served = gateway::serve(self.listeners, self.options, shutdown).await;
        served.map_err(|error| Failed::unavailable(error.to_string()))
    }
}

fn router_of(service: &'static str, engines: &[Arc<Engine>], options: &HttpOptions) -> Router {
    let has = |engine: &&Arc<Engine>| engine.model().system.services.iter().any(|one| one.name == service);
    let engine = engines.iter().find(has);
    engine.map_or_else(Router::new, |engine| http_api::router_for_service(engine.clone(), service, options.clone()))
}

fn http_options(config: &Config, addresses: &Addresses, engines: &[Arc<Engine>], zone: TimeZone) -> HttpOptions {
    let runs = |name: &String| engines.iter().any(|engine| engine.model().system.name == name);
    let default = Some(config.gateway.default_system.clone()).filter(|name| !name.is_empty());
    if let Some(name) = default.as_ref().filter(|name| !runs(name)) {
        tracing::warn!(name, "gateway.default_system names a system that does not run here");
    }
    let public_url = config.http.public_url.trim_end_matches('/');
    HttpOptions {
        default_system: default.filter(runs),
        public_url: if public_url.is_empty() { addresses.url() } else { public_url.to_owned() },
        trust_forwarded: config.http.trust_forwarded,
        body_limit_bytes: config.gateway.body_limit_bytes,
        zone,
        settle_within_ms: settle_within_ms(config.gateway.request_timeout_ms),
        stuck_after_ms: config.limits.stuck_after_ms,
        admin: config.http.admin,
        front: Some(landing::pages(engines, addresses, config.http.admin)),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..HttpOptions::default()
    }
}

/// The default, or half of the gateway's timeout: a request that waits for an effect is answered before it times out.
fn settle_within_ms(request_timeout_ms: u64) -> i64 {
    let half = i64::try_from(request_timeout_ms / 2).unwrap_or(i64::MAX);
    HttpOptions::default().settle_within_ms.min(half)
}

fn gateway_options(config: &Config, ready: Arc<AtomicBool>) -> GatewayOptions {
    let ours = &config.gateway;
    let rate = NonZeroU32::new(ours.rate_limit_per_second)
        .map(|per_second| Rate { per_second, burst: NonZeroU32::new(ours.rate_limit_burst).unwrap_or(per_second) });
    GatewayOptions {
        allow_remote: config.auth.allow_remote,
        origins: if config.dev { Origins::Any } else { Origins::Listed(ours.allowed_origins.iter().cloned().collect()) },
        rate,
        rate_loopback: ours.rate_limit_loopback,
        trust_forwarded: config.http.trust_forwarded,
        body_limit_bytes: ours.body_limit_bytes,
        request_timeout: Duration::from_millis(ours.request_timeout_ms),
        max_connections: ours.max_connections,
        ready,
        drain: Duration::from_millis(ours.drain_ms),
        grace: Duration::from_millis(ours.grace_period_ms),
        ..GatewayOptions::default()
    }
}
