//! Lists, searches, totals, exports, and the routes to them.

#![allow(clippy::unwrap_used)] // a failing helper fails the test

mod common;

use common::{Client, engine, notes};
use http_api::{HttpOptions, router, router_for_service};
use serde_json::{Value, json};

async fn with_notes(count: usize) -> Client {
    let client = Client::one();
    for index in 0..count {
        let colour = if index % 3 == 0 { "red" } else { "blue" };
        client.post("/notes", &json!({"title": format!("n{index}"), "colour": colour}).to_string()).await;
    }
    client.until("/lines", count).await;
    client
}

fn titles(list: &Value, name: &str) -> Vec<String> {
    list["_embedded"][name].as_array().unwrap().iter().map(|row| row["title"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_empty_list_has_all_its_members() {
    let list = Client::one().get("/notes").await;
    assert_eq!(list.header("content-type"), "application/hal+json");
    assert_eq!(list.json()["_embedded"], json!({"notes": []}));
    assert_eq!(list.json()["page"], json!({"size": 20, "totalElements": 0, "totalPages": 0, "number": 0}));
}

#[tokio::test]
async fn pages_link_to_their_neighbours() {
    let client = with_notes(5).await;
    let page = client.get("/desk1/notes?page=1&size=2").await.json();
    assert_eq!(titles(&page, "notes"), ["n2", "n3"]);
    let links = &page["_links"];
    let href = |name: &str| links[name]["href"].as_str().unwrap_or_default().replace("http://here:8088/desk1/notes", "");
    let all = ["first", "prev", "self", "next", "last"].map(href);
    assert_eq!(all, ["?page=0&size=2", "?page=0&size=2", "?page=1&size=2", "?page=2&size=2", "?page=2&size=2"]);
    let last = client.get("/notes?page=2&size=2").await.json();
    assert!(last["_links"].get("next").is_none());
}

#[tokio::test]
async fn lists_are_filtered_sorted_and_searched() {
    let client = with_notes(4).await;
    assert_eq!(titles(&client.get("/lines?colour=red&sort=title,desc").await.json(), "lines"), ["n3", "n0"]);
    assert_eq!(titles(&client.get("/lines?colour=&title=n1").await.json(), "lines"), ["n1"]);
    assert_eq!(titles(&client.get("/notes/search/findByTitle?title=n2").await.json(), "notes"), ["n2"]);
    let period = client.get("/lines?atFrom=2024-09-23T00:00:00Z&atTo=2024-09-24").await.json();
    assert_eq!(period["page"]["totalElements"], 4);
    assert_eq!(client.get("/lines?atFrom=2025-01-01").await.json()["page"]["totalElements"], 0);
    let searches = client.get("/notes/search").await.json();
    assert_eq!(searches["_links"]["findByTitle"]["templated"], true);
}

#[tokio::test]
async fn invalid_parameters_are_rejected_by_name() {
    let client = Client::one();
    let unsortable = client.get("/lines?sort=weight,asc").await;
    assert_eq!(
        (unsortable.status.as_u16(), unsortable.json()["sortable"].clone()),
        (400, json!(["id", "state", "colour", "title", "at"]))
    );
    let faulty =
        ["?size=0", "?page=-1", "?size=x", "?page=600", "?cursor=x", "?atFrom=soon", "?format=xml", "?sort=id,up", "?title=%FF"];
    for query in faulty {
        assert_eq!(client.get(&format!("/lines{query}")).await.status, 400, "{query}");
    }
    assert_eq!(client.get("/notes/search/findByTitle").await.status, 400);
    assert_eq!(client.get("/notes/search/findByColour?colour=red").await.status, 404);
    assert_eq!(client.get("/lines?size=5000").await.json()["page"]["size"], 1000);
}

#[tokio::test]
async fn totals_are_counted_by_value_and_by_pair() {
    let client = with_notes(4).await;
    client.call("DELETE", "/notes/1", &[], "").await;
    client.until("/lines?state=closed", 1).await;
    let totals = client.get("/lines/totals").await.json();
    assert_eq!(totals["total"], 4);
    assert_eq!(totals["by"]["colour"], json!([{"value": "blue", "rows": 2}, {"value": "red", "rows": 2}]));
    assert_eq!(totals["pairs"][0]["fields"], json!(["state", "colour"]));
    assert!(totals["pairs"][0]["totals"].as_array().unwrap().contains(&json!({"values": ["closed", "red"], "rows": 1})));
}

#[tokio::test]
async fn any_list_is_exported_in_full() {
    let client = with_notes(3).await;
    client.post("/notes", r#"{"title": "=1+1"}"#).await;
    let csv = client.call("GET", "/notes?size=1&sort=title,asc", &["accept: text/csv"], "").await;
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(
        csv.text,
        "id,title,colour,closed\r\n4,'=1+1,red,false\r\n1,n0,red,false\r\n2,n1,blue,false\r\n3,n2,blue,false\r\n"
    );
    assert!(client.get("/notes?format=csv").await.text.starts_with("\u{feff}id,"));
}

#[tokio::test]
async fn a_client_with_the_current_version_gets_not_modified() {
    let client = with_notes(1).await;
    let tag = format!("if-none-match: {}", client.get("/notes/1").await.header("etag"));
    let known = client.call("GET", "/notes/1", &[&tag], "").await;
    assert_eq!((known.status.as_u16(), known.text.as_str()), (304, ""));
}

#[tokio::test]
async fn a_method_that_is_not_allowed_is_answered_with_those_that_are() {
    let client = with_notes(1).await;
    let rejected = client.post("/lines", "{}").await;
    assert_eq!((rejected.status.as_u16(), rejected.header("allow")), (405, "GET, HEAD, OPTIONS"));
    assert!(rejected.json()["message"].as_str().unwrap().contains("GET"));
    assert_eq!(client.call("DELETE", "/notes", &[], "").await.header("allow"), "GET, HEAD, POST, OPTIONS");
    let options = client.call("OPTIONS", "/notes/1", &[], "").await;
    assert_eq!((options.status.as_u16(), options.header("allow")), (204, "GET, HEAD, PUT, PATCH, DELETE, OPTIONS"));
    let head = client.call("HEAD", "/notes/1", &[], "").await;
    assert!(head.status == 200 && head.text.is_empty() && head.header("content-length") != "0");
}

#[tokio::test]
async fn unknown_paths_and_ids_are_absent() {
    let client = Client::one();
    for target in
        ["/notes/1", "/notes/abc", "/notes/0", "/notes/1/open", "/nothing", "/desk1", "/desk1/nothing", "/notes/1/2/3/4/5/6"]
    {
        let absent = client.get(target).await;
        assert_eq!(absent.status, 404, "{target}");
        assert_eq!(absent.json()["status"], 404);
    }
    assert_eq!(client.call("PUT", "/notes/9", &[], "{}").await.status, 404);
}

#[tokio::test]
async fn a_shared_name_is_ambiguous_unless_a_system_is_selected() {
    let engines = || vec![engine(notes("desk1")), engine(notes("desk2"))];
    let client = Client(router(engines(), HttpOptions::default()));
    let several = client.get("/notes").await;
    assert_eq!(several.status, 300);
    assert_eq!(several.json()["doors"][1], json!({"system": "desk2", "href": "http://here:8088/desk2/notes"}));
    let chosen = client.call("GET", "/notes", &["x-pabal-system: desk2"], "").await;
    assert_eq!((chosen.status.as_u16(), chosen.json()["_links"]["self"]["href"].clone()), (200, json!("http://here:8088/notes")));
    assert_eq!(client.get("http://desk1.example:8088/notes").await.status, 200);
    let settled = Client(router(engines(), HttpOptions { default_system: Some("desk1".into()), ..HttpOptions::default() }));
    assert_eq!(settled.get("/notes").await.status, 200);
}

#[tokio::test]
async fn a_service_alone_serves_only_its_own_resources() {
    let client = Client(router_for_service(engine(notes("desk1")), "wall", HttpOptions::default()));
    assert_eq!(client.get("/lines").await.status, 200);
    assert_eq!(client.get("/desk1/lines").await.status, 200);
    assert_eq!(client.get("/notes").await.status, 404);
}
