//! Metrics of forwarding.

use gateway::{BreakerOptions, ForwardOptions};
use metrics_exporter_prometheus::PrometheusBuilder;

use crate::support::{FakeService, Gate, quick, remote};

#[tokio::test]
async fn requests_failures_breakers_and_latency_of_each_upstream_are_counted() {
    let recorder = PrometheusBuilder::new().build_recorder();
    // A local recorder suffices: everything that this test starts runs on this thread.
    let _guard = metrics::set_default_local_recorder(&recorder);
    let fake = FakeService::statuses(&[200, 502, 502, 502]).await;
    let breaker = BreakerOptions { consecutive: 3, ..BreakerOptions::default() };
    let gate = Gate::start(&[remote("message", &[&fake])], ForwardOptions { breaker, ..quick() }).await;
    assert_eq!((gate.get("/messages/7").await.status, gate.get("/messages/8").await.status), (200, 502));
    assert_eq!(gate.get("/messages/9").await.status, 503);
    let text = recorder.handle().render();
    let upstream = format!(r#"system="rcs",service="message",upstream="{}""#, fake.address);
    for line in [
        format!(r#"gateway_upstream_requests_total{{{upstream},status="2xx"}} 1"#),
        format!(r#"gateway_upstream_requests_total{{{upstream},status="5xx"}} 3"#),
        format!(r#"gateway_upstream_failures_total{{{upstream},kind="gateway_error"}} 3"#),
        format!("gateway_upstream_breaker_state{{{upstream}}} 2"),
        format!("gateway_upstream_request_duration_seconds_count{{{upstream}}} 4"),
        r#"gateway_repeated_total{system="rcs",service="message"} 2"#.to_owned(),
        r#"gateway_refused_total{system="rcs",service="message",reason="breaker"} 1"#.to_owned(),
        r#"http_requests_total{method="GET",route="/rcs/messages/{id}",status="5xx"} 2"#.to_owned(),
    ] {
        assert!(text.contains(&line), "{line}\n{text}");
    }
}
