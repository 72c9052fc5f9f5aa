//! The HTTP side: what the settings mean to the routers and to the gateway, and when it is time to end.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use axum::Router;
use driver::Engine;
use gateway::{GatewayOptions, Origins, Rate};
use http_api::HttpOptions;
use jiff::tz::TimeZone;
use metrics_exporter_prometheus::PrometheusBuilder;

use super::front::front;
use super::gauges::Gauges;
use super::greeting::shown_host;
use super::sockets::Door;
use crate::config::Config;
use crate::failed::Failed;

/// How often old measurements are let go.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// What the settings say about HTTP resources, and the port that the door got: the settings may leave it to the machine.
pub fn http_options(
    config: &Config,
    opened: &[Door],
    zone: TimeZone,
    engines: &[Arc<Engine>],
    gauges: Gauges,
    ready: Arc<AtomicBool>,
) -> Result<HttpOptions, Failed> {
    let port = opened.first().map_or(config.http.port, |door| door.port);
    let runs = |name: &String| engines.iter().any(|engine| engine.model().system.name == name);
    let default = Some(config.gateway.default_system.clone()).filter(|name| !name.is_empty());
    if let Some(name) = default.as_ref().filter(|name| !runs(name)) {
        tracing::warn!(name, "gateway.default_system names a system that does not run here");
    }
    Ok(HttpOptions {
        default_system: default.filter(runs),
        public_url: public_url(config, port),
        trust_forwarded: config.http.trust_forwarded,
        body_limit_bytes: config.gateway.body_limit_bytes,
        zone,
        ready,
        settle_within_ms: settle_within_ms(config),
        stuck_after_ms: config.limits.stuck_after_ms,
        metrics: Some(metrics(gauges.clone())?),
        details: Some(Arc::new(move |engine| gauges.details(engine))),
        admin: config.http.admin,
        front: Some(front(engines, opened, config.http.admin)),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// As long as usual, and never so long that the door gives the request up first.
fn settle_within_ms(config: &Config) -> i64 {
    let half = i64::try_from(config.gateway.request_timeout_ms / 2).unwrap_or(i64::MAX);
    HttpOptions::default().settle_within_ms.min(half)
}

/// What the settings say about the door.
pub fn gateway_options(config: &Config, ready: Arc<AtomicBool>) -> GatewayOptions {
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

/// Each socket with what is behind it: everything behind the one door, a service behind its own.
pub fn doors(opened: Vec<Door>, engines: &[Arc<Engine>], options: &HttpOptions) -> Vec<gateway::Door> {
    let behind = |door: &Door| -> Router {
        let of_service = door.service.and_then(|name| {
            let has = |engine: &&Arc<Engine>| engine.model().system.services.iter().any(|service| service.name == name);
            let engine = engines.iter().find(has)?;
            Some(http_api::router_for_service(engine.clone(), name, options.clone()))
        });
        of_service.unwrap_or_else(|| http_api::router(engines.to_vec(), options.clone()))
    };
    opened.into_iter().map(|door| gateway::Door { router: behind(&door), listener: door.listener }).collect()
}

fn public_url(config: &Config, port: u16) -> String {
    if config.http.public_url.is_empty() {
        return format!("http://{}:{port}", shown_host(&config.http.host));
    }
    config.http.public_url.trim_end_matches('/').to_owned()
}

fn metrics(gauges: Gauges) -> Result<http_api::RenderMetrics, Failed> {
    let handle = PrometheusBuilder::new().install_recorder().map_err(|error| Failed::no(error.to_string()))?;
    let upkeep = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP_EVERY).await;
            upkeep.run_upkeep();
        }
    });
    Ok(Arc::new(move || {
        gauges.put_down();
        handle.render()
    }))
}

/// Ends when somebody wants the process to: an orchestrator by SIGTERM, a person by ctrl-c.
pub struct Told {
    #[cfg(unix)]
    term: tokio::signal::unix::Signal,
}

impl Told {
    /// Listens from now on, so that a signal during the start is heard too.
    pub fn listen() -> Result<Self, Failed> {
        Ok(Self {
            #[cfg(unix)]
            term: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?,
        })
    }

    /// Waits for it.
    #[cfg(unix)]
    pub async fn wait(mut self) {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = self.term.recv() => {}
        }
        said();
    }

    /// Waits for it.
    #[cfg(not(unix))]
    pub async fn wait(self) {
        let _ = tokio::signal::ctrl_c().await;
        said();
    }
}

fn said() {
    tracing::info!("told to stop: not ready from now on, what is under way is finished");
}
