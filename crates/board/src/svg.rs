//! One picture that needs nothing beside it.

use std::fmt::Write;

use crate::layout::{HEADER, INSET, LEGEND, Layout, MARGIN, NAME_LINE, Place, SENTENCE_LINE, header_lines, lines};
use crate::model::{Board, Kind, Node, What};
use crate::route::{Route, routes};
use crate::text::escape;

/// Colours of arrows, by the lane they come from: one can be followed with the eye where several run side by side.
const INKS: [&str; 6] = ["#3b6fb6", "#b0562b", "#2f8260", "#8a4fa8", "#a8862a", "#5b6672"];

const STYLE: &str = "\
svg{--paper:#fbfaf7;--lane:#f1efe9;--ink:#24272b;--soft:#666b73;--edge:#d8d4ca}
@media (prefers-color-scheme:dark){svg{--paper:#17191c;--lane:#202329;--ink:#eceae5;--soft:#a3a8b0;--edge:#353a42}}
svg text{font-family:system-ui,-apple-system,'Segoe UI','Noto Sans','Noto Sans KR','DejaVu Sans',sans-serif}
.paper{fill:var(--paper,#fbfaf7)}
.lane{fill:var(--lane,#f1efe9);stroke:var(--edge,#d8d4ca)}
.h1{font-size:19px;font-weight:700;fill:var(--ink,#24272b)}
.h2{font-size:15px;font-weight:700;fill:var(--ink,#24272b)}
.soft{font-size:10.5px;fill:var(--soft,#666b73)}
.title{font-size:12px;fill:var(--soft,#666b73)}
.name{font-size:12px;font-weight:700;fill:#1c1e21}
.words{font-size:10.5px;fill:#33373c}
.note{stroke:#00000026}
.private{fill-opacity:.45;stroke:#b0562b;stroke-dasharray:4 3}
.private~text{fill:var(--ink,#24272b)}
.frame{fill:none;stroke:var(--soft,#666b73);stroke-dasharray:2 3;opacity:.7}
.arrow{fill:none;stroke-width:1.5;stroke-linejoin:round}
.feeds{stroke-dasharray:5 3}
.near{stroke:var(--soft,#666b73);stroke-width:1.2}
.tip{fill:var(--soft,#666b73)}";

/// Draws a board.
pub fn draw(board: &Board) -> String {
    let layout = Layout::new(board);
    let mut out = String::new();
    let (width, height) = (layout.width.ceil().max(1100.0), layout.height.ceil());
    line(
        &mut out,
        &format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
             role=\"img\" aria-label=\"Event-storming board: {}\">",
            escape(&board.title())
        ),
    );
    line(&mut out, &format!("<style>{STYLE}</style>"));
    line(&mut out, &format!("<defs>{}</defs>", tips()));
    line(&mut out, "<rect class=\"paper\" width=\"100%\" height=\"100%\"/>");
    legend(&mut out);
    lanes(&mut out, board, &layout);
    for route in routes(board, &layout) {
        line(&mut out, &arrow(board, &route));
    }
    for frame in layout.frames.values() {
        line(&mut out, &format!("<rect class=\"frame\" {} rx=\"8\"/>", at(frame)));
    }
    for (node, place) in board.nodes.iter().zip(&layout.notes) {
        note(&mut out, node, place);
    }
    out.push_str("</svg>\n");
    out
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

fn at(place: &Place) -> String {
    format!("x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"", place.x, place.y, place.w, place.h)
}

fn tips() -> String {
    let tip = |id: &str, paint: &str| {
        format!(
            "<marker id=\"{id}\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" \
             orient=\"auto-start-reverse\" markerUnits=\"userSpaceOnUse\"><path d=\"M0 0.8L8 4L0 7.2z\" {paint}/></marker>"
        )
    };
    let inks = INKS.iter().enumerate().map(|(number, ink)| tip(&format!("tip{number}"), &format!("fill=\"{ink}\"")));
    inks.chain([tip("tip", "class=\"tip\"")]).collect()
}

fn legend(out: &mut String) {
    let mut x = MARGIN;
    for kind in Kind::ALL {
        let text = kind.name();
        line(
            out,
            &format!(
                "<rect class=\"note\" x=\"{x:.1}\" y=\"16\" width=\"16\" height=\"16\" rx=\"2\" fill=\"{}\"/>\
                 <text class=\"title\" x=\"{:.1}\" y=\"28.5\">{text}</text>",
                kind.colour(),
                x + 22.0
            ),
        );
        x += 40.0 + crate::text::width(text, 12.0);
    }
    line(
        out,
        &format!(
            "<rect class=\"note private\" x=\"{x:.1}\" y=\"16\" width=\"16\" height=\"16\" rx=\"2\" fill=\"{}\"/>\
             <text class=\"title\" x=\"{:.1}\" y=\"28.5\">stays in its service</text>",
            Kind::Event.colour(),
            x + 22.0
        ),
    );
    x += 40.0 + crate::text::width("stays in its service", 12.0);
    line(
        out,
        &format!(
            "<path class=\"arrow near\" d=\"M{x:.1} 24h26\"/><text class=\"title\" x=\"{:.1}\" y=\"28.5\">leads to</text>\
             <path class=\"arrow near feeds\" d=\"M{:.1} 24h26\"/><text class=\"title\" x=\"{:.1}\" y=\"28.5\">feeds a view</text>",
            x + 32.0,
            x + 96.0,
            x + 128.0
        ),
    );
}

fn lanes(out: &mut String, board: &Board, layout: &Layout) {
    debug_assert!(layout.bands.iter().all(|y| *y >= LEGEND));
    for (band, y) in board.bands.iter().zip(&layout.bands) {
        let (name, topic) = if band.name.is_empty() {
            ("elsewhere", String::new())
        } else {
            (band.name.as_str(), format!(" · topic {}", band.topic))
        };
        let words = escape(&format!("{}{topic}", band.sentence));
        line(
            out,
            &format!(
                "<text class=\"h1\" x=\"{MARGIN}\" y=\"{:.1}\">{}</text><text class=\"title\" x=\"{MARGIN}\" y=\"{:.1}\">{words}</text>",
                y + 20.0,
                escape(name),
                y + 40.0
            ),
        );
    }
    for (lane, place) in board.lanes.iter().zip(&layout.lanes) {
        line(out, &format!("<rect class=\"lane\" {} rx=\"6\"/>", at(place)));
        let x = place.x + 14.0;
        let name = escape(&lane.name);
        let mut text = format!("<text class=\"h2\" x=\"{x:.1}\" y=\"{:.1}\">{name}</text>", place.y + 24.0);
        for (row, words) in (0_u32..).zip(header_lines(lane)) {
            let y = place.y + 41.0 + f64::from(row) * SENTENCE_LINE;
            let _ = write!(text, "<text class=\"soft\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escape(&words));
        }
        let edge = place.x + HEADER - 10.0;
        let _ = write!(text, "<path class=\"lane\" d=\"M{edge:.1} {:.1}V{:.1}\"/>", place.y + 8.0, place.bottom() - 8.0);
        line(out, &text);
    }
}

fn arrow(board: &Board, route: &Route) -> String {
    let mut path = String::new();
    let corners = &route.corners;
    for (index, (x, y)) in corners.iter().enumerate() {
        let around = (index.checked_sub(1).map(|before| corners[before]), corners.get(index + 1));
        let _ = match around {
            (None, _) => write!(path, "M{x:.1} {y:.1}"),
            (Some(_), None) => write!(path, "L{x:.1} {y:.1}"),
            (Some(before), Some(after)) => {
                let (x1, y1) = towards((*x, *y), before);
                let (x2, y2) = towards((*x, *y), *after);
                write!(path, "L{x1:.1} {y1:.1}Q{x:.1} {y:.1} {x2:.1} {y2:.1}")
            }
        };
    }
    let feeds = if route.what == What::Feeds { " feeds" } else { "" };
    let (from, to) = (board.node(route.from), board.node(route.to));
    let about = escape(&format!("{} → {}", from.name, to.name));
    if from.kind == Kind::Event {
        let ink = from.lane % INKS.len();
        let paint = format!("stroke=\"{}\" marker-end=\"url(#tip{ink})\"", INKS[ink]);
        return format!("<path class=\"arrow{feeds}\" {paint} d=\"{path}\"><title>{about}</title></path>");
    }
    let start = if route.both { " marker-start=\"url(#tip)\"" } else { "" };
    format!("<path class=\"arrow near{feeds}\" marker-end=\"url(#tip)\"{start} d=\"{path}\"/>")
}

/// The point a little way from a corner, where its rounding begins.
fn towards(corner: (f64, f64), other: (f64, f64)) -> (f64, f64) {
    let (dx, dy) = (other.0 - corner.0, other.1 - corner.1);
    let share = (4.0 / dx.hypot(dy).max(1.0)).min(0.5);
    (corner.0 + dx * share, corner.1 + dy * share)
}

fn note(out: &mut String, node: &Node, place: &Place) {
    let (name, words) = lines(&node.name, &node.sentence, node.kind, place.w);
    let private = if node.private { " private" } else { "" };
    let title = escape(&format!("{} {}\n{}", node.kind.name(), node.name, node.sentence));
    let mut text = format!(
        "<g><title>{}</title><rect class=\"note{private}\" data-kind=\"{}\" data-name=\"{}\" {} rx=\"3\" fill=\"{}\"/>",
        title.trim_end(),
        node.kind.name(),
        escape(&node.name),
        at(place),
        node.kind.colour()
    );
    let used = f64::from(u32::try_from(name.len()).unwrap_or(0)) * NAME_LINE
        + f64::from(u32::try_from(words.len()).unwrap_or(0)) * SENTENCE_LINE;
    // Shorter notes than their least height stand in the middle of it.
    let mut y = place.y + ((place.h - used) / 2.0).max(INSET);
    for (class, height, drop, rows) in [("name", NAME_LINE, 11.5, name), ("words", SENTENCE_LINE, 10.0, words)] {
        for row in rows {
            let (x, base) = (place.x + INSET, y + drop);
            let _ = write!(text, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{base:.1}\">{}</text>", escape(&row));
            y += height;
        }
    }
    text.push_str("</g>");
    line(out, &text);
}
