//! The server that Pabal is measured against: the same library and runtime, and nothing behind them.

use axum::Router;
use axum::routing::post;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;

use crate::failed::Failed;

/// What it prints before its port.
pub const SAYS: &str = "listening on ";

/// Runs until it is killed.
pub fn run(port: u16) -> Result<(), Failed> {
    // As Pabal's own: threads as there are processors.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        println!("{SAYS}{}", listener.local_addr()?.port());
        // Without delay, as Pabal's gateway has it, too.
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        let echo = |body: axum::Json<serde_json::Value>| async { body };
        axum::serve(listener, Router::new().route("/messages", post(echo))).await?;
        Ok(())
    })
}
