//! `pabal map`: the event-storming board, drawn from the declarations.

use std::path::Path;

use board::Board;
use kernel::System;

use crate::args::{Format, Map};
use crate::failed::Failed;
use crate::show;

/// Draws the board.
pub fn map(map: &Map, systems: &[System]) -> Result<u8, Failed> {
    let board = Board::new(systems);
    let text = match map.format.unwrap_or_else(|| format_of(map)) {
        Format::Mermaid => board::mermaid::text(&board),
        Format::Svg => board::svg::draw(&board),
        Format::Html => board::html::page(&board),
    };
    // `-` is the standard output, as elsewhere.
    match map.output.as_deref().filter(|path| *path != Path::new("-")) {
        Some(path) => {
            let failed = |error| Failed::no(format!("{} cannot be written: {error}", path.display()));
            std::fs::write(path, text).map_err(failed)?;
        }
        None => show::print(&text)?,
    }
    Ok(0)
}

fn format_of(map: &Map) -> Format {
    match map.output.as_deref().and_then(|path| path.extension()).and_then(|extension| extension.to_str()) {
        Some("svg") => Format::Svg,
        Some("html" | "htm") => Format::Html,
        _ => Format::Mermaid,
    }
}
