//! Where arrows run: through gutters and corridors between groups, straight within a group.

use crate::layout::{Layout, Place, TRACK, count, crossing};
use crate::model::{Board, Kind, NodeId, What};

/// The corners of an arrow, its end last.
pub(crate) struct Route {
    pub from: NodeId,
    pub to: NodeId,
    pub what: What,
    pub corners: Vec<(f64, f64)>,
    /// It has a head at both ends.
    pub both: bool,
}

/// All arrows of a board.
pub(crate) fn routes(board: &Board, layout: &Layout) -> Vec<Route> {
    let mut routes: Vec<_> = crossing(board).map(|(from, to, what)| far(board, layout, from, to, what)).collect();
    for arrow in board.arrows.iter().filter(|arrow| board.node(arrow.from).kind != Kind::Event) {
        if let Some(corners) = near(board, layout, arrow.from, arrow.to) {
            let both = arrow.what == What::Reaches;
            routes.push(Route { from: arrow.from, to: arrow.to, what: arrow.what, corners, both });
        }
    }
    routes
}

/// From an event to what it sets off, wherever that stands.
fn far(board: &Board, layout: &Layout, from: NodeId, to: NodeId, what: What) -> Route {
    let rank = |note: NodeId| board.node(note).group.map_or(0, |group| layout.ranks[group]);
    let (start, end) = (layout.notes[from.0], layout.notes[to.0]);
    // A little above and below the middle, so that an arrow out of one note never lies on an arrow into its neighbour.
    let (out, into) = (start.middle() - 5.0, end.middle() + 5.0);
    let behind = gutter_x(layout, rank(from) + 1, from);
    let mut corners = vec![(start.right(), out), (behind, out)];
    if rank(to) == rank(from) + 1 {
        corners.push((behind, into));
    } else {
        let lane = board.node(to).lane;
        let corridor = layout.tracks.corridors.get(&(lane, from)).copied().unwrap_or_default();
        let y = layout.lanes[lane].y + 10.0 + count(corridor) * TRACK;
        let before = gutter_x(layout, rank(to), from);
        corners.extend([(behind, y), (before, y), (before, into)]);
    }
    corners.push((end.x, into));
    Route { from, to, what, corners, both: false }
}

fn gutter_x(layout: &Layout, gutter: usize, source: NodeId) -> f64 {
    let (left, _) = layout.gutters.get(gutter).copied().unwrap_or_default();
    let track = layout.tracks.gutters.get(&(gutter, source)).copied().unwrap_or_default();
    left + 10.0 + count(track) * TRACK
}

/// Within a group; commands are framed, and the frame stands for all of them.
fn near(board: &Board, layout: &Layout, from: NodeId, to: NodeId) -> Option<Vec<(f64, f64)>> {
    let (start, end) = (layout.notes[from.0], layout.notes[to.0]);
    let frame = board.node(to).group.and_then(|group| layout.frames.get(&group)).copied();
    match board.node(from).kind {
        Kind::Command => {
            let first = board.numbered().find(|(_, node)| node.kind == Kind::Command && node.group == board.node(from).group);
            let frame = frame.filter(|_| first.is_some_and(|(id, _)| id == from))?;
            Some(level(&frame, &end))
        }
        Kind::Actor | Kind::Policy => Some(level(&start, &frame.unwrap_or(end))),
        // One above the other, which is the same column.
        _ if (start.x - end.x).abs() < 1.0 => {
            let x = start.x + start.w / 2.0;
            let (y1, y2) = if start.y < end.y { (start.bottom(), end.y) } else { (start.y, end.bottom()) };
            Some(vec![(x, y1), (x, y2)])
        }
        _ => Some(level(&start, &end)),
    }
}

/// Between two notes beside each other, as level as their heights allow.
fn level(left: &Place, right: &Place) -> Vec<(f64, f64)> {
    const EDGE: f64 = 10.0;
    let clamp = |y: f64, place: &Place| y.clamp(place.y + EDGE, (place.bottom() - EDGE).max(place.y + EDGE));
    let (y1, y2) = if left.h < right.h {
        (left.middle(), clamp(left.middle(), right))
    } else {
        (clamp(right.middle(), left), right.middle())
    };
    vec![(left.right(), y1), (right.x, y2)]
}
