//! What a browser finds where no resource is: the board of what runs, and the gateway's landing page.

use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::Html;
use axum::routing::get;
use board::Board;
use driver::Engine;
use gateway::LandingSystem;
use kernel::System;
use ports::Model;

use super::sockets::Addresses;

/// The pages; drawn once, as declarations do not change while they run.
pub fn pages(engines: &[Arc<Engine>], addresses: &Addresses, admin: bool) -> Router {
    let models: Vec<Arc<Model>> = engines.iter().map(|engine| engine.model().clone()).collect();
    let systems: Vec<System> = models.iter().map(|model| model.system.clone()).collect();
    let board = Board::new(&systems);
    let shown = models.iter().map(|model| LandingSystem { model: model.clone(), try_first: addresses.try_first(&model.system) });
    let shown: Vec<LandingSystem> = shown.collect();
    let mut links = vec![("/docs", "API"), ("/board", "Board"), ("/actuator/health", "Health"), ("/problems", "Problems")];
    if admin {
        links.extend([
            ("/admin/subscriptions", "Subscriptions"),
            ("/admin/dead-letters", "Dead letters"),
            ("/admin/events", "Events"),
        ]);
    }
    let (page, picture) = (board::html::page(&board), board::svg::draw(&board));
    let data = serde_json::to_string(&board).unwrap_or_default();
    Router::new()
        .route("/board", get(move || async move { Html(page.clone()) }))
        .route("/board.svg", get(move || async move { ([(CONTENT_TYPE, "image/svg+xml")], picture.clone()) }))
        .route("/board.json", get(move || async move { ([(CONTENT_TYPE, "application/json")], data.clone()) }))
        .fallback_service(gateway::landing(&shown, &links))
}
