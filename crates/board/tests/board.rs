//! What is declared is on the board, and what is drawn can be read.
#![allow(clippy::unwrap_used)] // helpers of tests, too, may say what they expect

mod sample;

use std::collections::BTreeSet;

use board::{Board, Kind, What};
use sample::bakery;

fn names(board: &Board, kind: Kind) -> BTreeSet<&str> {
    board.of_kind(kind).map(|(_, node)| node.name.as_str()).collect()
}

fn arrow(board: &Board, from: &str, to: &str, what: What) -> bool {
    board.arrows.iter().any(|arrow| board.node(arrow.from).name == from && board.node(arrow.to).name == to && arrow.what == what)
}

#[test]
fn every_declared_command_event_policy_and_view_is_on_it() {
    let (system, board) = (bakery(), Board::new(&[bakery()]));
    for service in &system.services {
        for aggregate in &service.aggregates {
            assert!(names(&board, Kind::Aggregate).contains(aggregate.of.name()));
            assert!(aggregate.of.commands().iter().all(|command| names(&board, Kind::Command).contains(command.name.as_str())));
            assert!(aggregate.of.events().iter().all(|event| names(&board, Kind::Event).contains(event.name.as_str())));
        }
        assert!(service.policies.iter().all(|policy| names(&board, Kind::Policy).contains(policy.name)));
        assert!(service.views.iter().all(|view| names(&board, Kind::View).contains(view.name)));
    }
    assert_eq!(names(&board, Kind::External), BTreeSet::from(["oven", "price-list"]));
}

#[test]
fn the_arrows_tell_the_story() {
    let board = Board::new(&[bakery()]);
    for (from, to, what) in [
        ("client", "order", What::Asks),
        ("Place", "order", What::Decides),
        ("order", "Ordered", What::Publishes),
        ("Ordered", "bake", What::SetsOff),
        ("bake", "loaf", What::Asks),
        ("loaf", "oven", What::Reaches),
        ("Baked", "close", What::SetsOff),
        ("NotBakedAfterAllBecauseOfTheOven", "sales", What::Feeds),
    ] {
        assert!(arrow(&board, from, to, what), "{from} → {to}");
    }
}

#[test]
fn an_event_that_nobody_here_publishes_comes_from_a_lane_of_its_own() {
    let board = Board::new(&[bakery()]);
    let lane = board.lanes.last().unwrap();
    assert_eq!((lane.name.as_str(), lane.domain.as_str()), ("bread", ""));
    assert!(arrow(&board, "FlourArrived", "restock", What::SetsOff));
}

#[test]
fn an_event_that_stays_in_its_service_is_marked() {
    let board = Board::new(&[bakery()]);
    let private: Vec<_> = board.nodes.iter().filter(|node| node.private).map(|node| node.name.as_str()).collect();
    assert_eq!(private, ["Warmed"]);
}

#[test]
fn the_board_is_data_too() {
    let json = serde_json::to_value(Board::new(&[bakery()])).unwrap();
    assert_eq!(json["nodes"][0]["kind"], "aggregate");
    assert_eq!(json["arrows"][0]["from"], json["arrows"][1]["from"].as_u64().unwrap() - 1);
}

#[test]
fn the_mermaid_text_is_the_stored_one() {
    let text = board::mermaid::text(&Board::new(&[bakery()]));
    let stored = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sample/board.mmd");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(stored, &text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(stored).unwrap(), "UPDATE_SNAPSHOTS=1 writes it anew");
}

/// A note of the drawn picture.
struct Drawn {
    name: String,
    x: f64,
    y: f64,
    w: f64,
    h: f64,
}

fn attribute<'a>(tag: &'a str, name: &str) -> &'a str {
    let start = tag.find(&format!(" {name}=\"")).unwrap() + name.len() + 3;
    tag[start..].split('"').next().unwrap()
}

fn drawn(svg: &str) -> Vec<Drawn> {
    let tags = svg.split("<rect ").skip(1).map(|rest| format!(" {}", rest.split('>').next().unwrap()));
    tags.filter(|tag| tag.contains(" data-kind="))
        .map(|tag| {
            let number = |name| attribute(&tag, name).parse().unwrap();
            let name = attribute(&tag, "data-name").to_owned();
            Drawn { name, x: number("x"), y: number("y"), w: number("width"), h: number("height") }
        })
        .collect()
}

#[test]
fn no_note_lies_on_another_and_all_are_within_the_picture() {
    let board = Board::new(&[bakery()]);
    let svg = board::svg::draw(&board);
    let notes = drawn(&svg);
    assert_eq!(notes.len(), board.nodes.len());
    let width: f64 = attribute(&svg, "width").parse().unwrap();
    let height: f64 = attribute(&svg, "height").parse().unwrap();
    for (place, one) in notes.iter().enumerate() {
        assert!(one.x >= 0.0 && one.y >= 0.0 && one.x + one.w <= width && one.y + one.h <= height, "{} sticks out", one.name);
        for other in &notes[..place] {
            let apart =
                one.x + one.w <= other.x || other.x + other.w <= one.x || one.y + one.h <= other.y || other.y + other.h <= one.y;
            assert!(apart, "{} lies on {}", one.name, other.name);
        }
    }
}

#[test]
fn arrows_from_events_run_beside_the_notes_and_never_over_them() {
    let svg = board::svg::draw(&Board::new(&[bakery()]));
    let notes = drawn(&svg);
    for path in svg.split("<path class=\"arrow").skip(1).filter(|path| path.contains("<title>")) {
        let d = attribute(path, "d").replace(['M', 'L', 'Q'], " ");
        let numbers: Vec<f64> = d.split_whitespace().map(|number| number.parse().unwrap()).collect();
        let points: Vec<_> = numbers.chunks(2).map(|pair| (pair[0], pair[1])).collect();
        for leg in points.windows(2) {
            let (x, y) = (f64::midpoint(leg[0].0, leg[1].0), f64::midpoint(leg[0].1, leg[1].1));
            let over = notes.iter().find(|note| x > note.x && x < note.x + note.w && y > note.y && y < note.y + note.h);
            assert!(over.is_none(), "an arrow runs over {}", over.unwrap().name);
        }
    }
}

#[test]
fn what_looks_like_markup_is_shown_and_not_obeyed() {
    let board = Board::new(&[bakery()]);
    for markup in [board::svg::draw(&board), board::html::page(&board)] {
        assert!(!markup.contains("<script>") && !markup.contains("<b>"));
        assert!(markup.contains("&lt;b&gt;&quot;hot&quot; &amp; loud&lt;/b&gt;"));
    }
    assert!(!board::mermaid::text(&board).contains("<b>"));
}

#[test]
fn the_same_declarations_draw_the_same_bytes() {
    let board = || Board::new(&[bakery()]);
    assert_eq!(board::html::page(&board()), board::html::page(&board()));
}

#[test]
fn an_empty_board_is_a_picture_too() {
    assert!(board::svg::draw(&Board::new(&[])).ends_with("</svg>\n"));
}
