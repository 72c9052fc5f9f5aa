//! Routes: every resource and view in both forms, and what stays in this process.

use axum::Router;
use axum::body::Body;
use gateway::{ForwardError, ForwardOptions, Forwarding, GatewayOptions, Remote};
use kernel::{Service, System};

use crate::support::{FakeService, Gate, quick, remote};

/// Resources and views of the system with their services.
fn declared() -> Vec<(&'static str, &'static str)> {
    let system = rcs::system();
    let of = |service: &Service| {
        let resources = service.resources.iter().map(|resource| resource.name);
        let names: Vec<_> = resources.chain(service.views.iter().map(|view| view.name)).collect();
        names.into_iter().map(|name| (name, service.name)).collect::<Vec<_>>()
    };
    system.services.iter().flat_map(of).collect()
}

#[tokio::test]
async fn every_resource_and_view_reaches_its_service_in_both_forms() {
    let names = ["message", "validator", "device", "dashboard"];
    let fakes = [
        FakeService::named(names[0]).await,
        FakeService::named(names[1]).await,
        FakeService::named(names[2]).await,
        FakeService::named(names[3]).await,
    ];
    let remotes: Vec<Remote> = names.iter().zip(&fakes).map(|(name, fake)| remote(name, &[fake])).collect();
    let gate = Gate::start(&remotes, quick()).await;
    assert_eq!(declared().len(), 8);
    for (thing, service) in declared() {
        for prefix in ["", "/rcs"] {
            for rest in ["", "/", "?page=1&size=2", "/7", "/totals", "/search", "/search/findByX?x=1", "/7/act", "?format=csv"] {
                let target = format!("{prefix}/{thing}{rest}");
                let answer = gate.get(&target).await;
                assert_eq!((answer.status, answer.text.as_str()), (200, service), "{target}");
                let fake = &fakes[names.iter().position(|name| *name == service).unwrap()];
                assert_eq!(fake.seen().last().unwrap().target, target, "the path goes on as it came");
            }
        }
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            assert_eq!(gate.send(method, &format!("/{thing}/7"), &[], Body::empty()).await.text, service, "{method}");
            let fake = &fakes[names.iter().position(|name| *name == service).unwrap()];
            assert_eq!(fake.seen().last().unwrap().method, method);
        }
    }
}

#[tokio::test]
async fn everything_else_is_served_by_this_process() {
    let fake = FakeService::named("message").await;
    let gate = Gate::start(&[remote("message", &[&fake])], quick()).await;
    // `validators` belong to a service that runs in this process.
    for target in ["/", "/docs", "/nothing", "/rcs", "/rcs/nothing", "/validators", "/rcs/validators/1", "/messages/a/b/c/d/e"] {
        assert_eq!(gate.get(target).await.text, "here", "{target}");
    }
    assert_eq!(fake.count(), 0);
}

#[tokio::test]
async fn the_admin_api_of_a_service_is_forwarded_to_it() {
    let (message, dashboard) = (FakeService::named("message").await, FakeService::named("dashboard").await);
    let gate = Gate::start(&[remote("message", &[&message]), remote("dashboard", &[&dashboard])], quick()).await;
    for (target, answers) in [
        ("/admin/services/message/pause", "message"),
        ("/admin/services/dashboard/resume?system=rcs", "dashboard"),
        ("/admin/services/validator/pause", "here"),
        ("/admin/views/myMessages/rebuild", "dashboard"),
        ("/admin/dead-letters/redrive?service=message", "message"),
        ("/admin/dead-letters/redrive", "here"),
    ] {
        assert_eq!(gate.post(target, "").await.text, answers, "{target}");
    }
    assert_eq!(gate.get("/admin/events?service=dashboard&limit=1").await.text, "dashboard");
    assert_eq!(gate.get("/admin/subscriptions").await.text, "here");
    let closed = Gate::start(&[remote("message", &[&message])], ForwardOptions { admin: false, ..quick() }).await;
    assert_eq!(closed.post("/admin/services/message/pause", "").await.text, "here");
}

/// A second system with a service and resources of the same names.
fn twin() -> System {
    let mut twin = rcs::system();
    twin.name = "twin";
    twin.services.retain(|service| service.name == "message");
    twin
}

#[tokio::test]
async fn a_name_that_systems_share_is_ambiguous() {
    let (ours, theirs) = (FakeService::named("ours").await, FakeService::named("theirs").await);
    let remotes = [remote("message", &[&ours]), Remote { system: "twin".into(), ..remote("message", &[&theirs]) }];
    let here = || Router::new().fallback(|| async { "here" });
    let open = async |options| {
        let forwarding = Forwarding::try_new(&[rcs::system(), twin()], &remotes, options).unwrap();
        Gate::around(forwarding, here(), GatewayOptions::default()).await
    };
    let gate = open(quick()).await;
    let several = gate.send("GET", "/messages", &[("host", "shop:1")], Body::empty()).await;
    assert_eq!((several.status, several.json()["type"].as_str()), (300, Some("/problems/multiple-choices")));
    assert_eq!(several.json()["doors"][1], serde_json::json!({"system": "twin", "href": "http://shop:1/twin/messages"}));
    assert_eq!(gate.get("/rcs/messages").await.text, "ours");
    assert_eq!(gate.get("/twin/messages/1").await.text, "theirs");
    for headers in [[("x-pabal-system", "twin")], [("host", "twin.shop:1")]] {
        assert_eq!(gate.send("GET", "/messages", &headers, Body::empty()).await.text, "theirs", "{headers:?}");
    }
    assert_eq!(gate.post("/admin/services/message/pause", "").await.status, 400);
    assert_eq!(gate.post("/admin/services/message/pause?system=twin", "").await.text, "theirs");
    let ours = open(ForwardOptions { default_system: Some("rcs".into()), ..quick() }).await;
    assert_eq!(ours.get("/messages").await.text, "ours");
}

#[tokio::test]
async fn invalid_settings_are_rejected_at_the_start() {
    let fake = FakeService::named("message").await;
    let refused = |remotes: &[Remote]| Forwarding::try_new(&[rcs::system()], remotes, quick()).err().unwrap();
    let at = |address: &str| Remote { addresses: vec![address.into()], ..remote("message", &[]) };
    assert!(matches!(refused(&[remote("postman", &[&fake])]), ForwardError::Unknown { .. }));
    assert!(matches!(refused(&[remote("message", &[])]), ForwardError::Addresses { count: 0, .. }));
    assert!(matches!(refused(&[at("http://a:1"), at("http://b:1")]), ForwardError::Twice { .. }));
    for address in ["", "a:1", "https://a:1", "http://a:1/path", "http://u@a:1", "http://a:1?q", "unix:/x"] {
        assert!(matches!(refused(&[at(address)]), ForwardError::Address { .. }), "{address}");
    }
    let none = ForwardOptions { attempts: 0, ..quick() };
    assert!(matches!(Forwarding::try_new(&[], &[], none), Err(ForwardError::Setting(_))));
}
