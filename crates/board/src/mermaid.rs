//! The board as Mermaid text, for a README.

use std::fmt::Write;

use crate::model::{Board, Kind, NodeId, What};

/// Writes a board as a flowchart.
pub fn text(board: &Board) -> String {
    let mut out = String::from("flowchart LR\n");
    for (number, lane) in board.lanes.iter().enumerate() {
        let band = &board.bands[lane.band].name;
        let name = if band.is_empty() { format!("topic {}", lane.name) } else { format!("{band} · {}", lane.name) };
        put(&mut out, 1, &format!("subgraph lane{number}[\"{}\"]", quote(&name)));
        for (id, node) in board.numbered().filter(|(_, node)| node.lane == number && node.kind != Kind::Command) {
            if node.kind == Kind::Aggregate {
                commands(&mut out, board, id);
            }
            put(&mut out, 2, &shape(board, id));
        }
        put(&mut out, 1, "end");
    }
    for arrow in board.arrows.iter().filter(|arrow| arrow.what != What::Decides) {
        let to = match arrow.what {
            What::Asks => asked(board, arrow.to),
            _ => name(arrow.to),
        };
        let line = match arrow.what {
            What::Feeds => "-.->",
            What::Reaches => "<-->",
            _ => "-->",
        };
        put(&mut out, 1, &format!("{} {line} {to}", name(arrow.from)));
    }
    for (id, _) in board.of_kind(Kind::Aggregate).filter(|(id, _)| has_commands(board, *id)) {
        put(&mut out, 1, &format!("{} --> {}", asked(board, id), name(id)));
    }
    for kind in Kind::ALL {
        put(&mut out, 1, &format!("classDef {} fill:{},stroke:#0003,color:#1c1e21", class(kind), kind.colour()));
    }
    out
}

fn put(out: &mut String, depth: usize, line: &str) {
    let _ = writeln!(out, "{:1$}{line}", "", depth * 2);
}

/// The commands of an aggregate in a frame, which stands for all of them.
fn commands(out: &mut String, board: &Board, aggregate: NodeId) {
    if !has_commands(board, aggregate) {
        return;
    }
    put(out, 2, &format!("subgraph {}[\" \"]", asked(board, aggregate)));
    let group = board.node(aggregate).group;
    for (id, _) in board.of_kind(Kind::Command).filter(|(_, node)| node.group == group) {
        put(out, 3, &shape(board, id));
    }
    put(out, 2, "end");
}

fn has_commands(board: &Board, aggregate: NodeId) -> bool {
    let group = board.node(aggregate).group;
    board.nodes.iter().any(|node| node.kind == Kind::Command && node.group == group)
}

/// What an arrow to an aggregate's commands ends at.
fn asked(board: &Board, aggregate: NodeId) -> String {
    if has_commands(board, aggregate) { format!("asked{}", aggregate.0) } else { name(aggregate) }
}

fn name(id: NodeId) -> String {
    format!("n{}", id.0)
}

fn shape(board: &Board, id: NodeId) -> String {
    let node = board.node(id);
    let words = match node.kind {
        Kind::Policy | Kind::Actor => format!("{}<br/>{}", quote(&node.name), quote(&node.sentence).replace('\n', "<br/>")),
        _ => quote(&node.name),
    };
    format!("{}[\"{}\"]:::{}", name(id), words.trim_end_matches("<br/>"), class(node.kind))
}

fn class(kind: Kind) -> &'static str {
    match kind {
        Kind::View => "view",
        Kind::External => "external",
        other => other.name(),
    }
}

/// Mermaid reads entities with `#`, and HTML in labels.
fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("#quot;"),
            '#' => out.push_str("#35;"),
            '<' => out.push_str("#lt;"),
            '>' => out.push_str("#gt;"),
            '&' => out.push_str("#amp;"),
            '`' => out.push_str("#96;"),
            letter => out.push(letter),
        }
    }
    out
}
