//! Where everything stands: time runs to the right, each service has a lane.
//!
//! The notes of one aggregate or view form a group, in four columns: actors | commands | aggregate and its port | events.
//! Groups stand in ranks, so that an event is left of what it sets off; what follows an earlier group is drawn backwards.
//! Between ranks there are gutters, over the groups of each lane a corridor: arrows run there and never over a note.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Board, Kind, Lane, NodeId, What};
use crate::text::wrap;

pub(crate) const NAME_PX: f64 = 12.0;
pub(crate) const SENTENCE_PX: f64 = 10.5;
pub(crate) const NAME_LINE: f64 = 15.0;
pub(crate) const SENTENCE_LINE: f64 = 13.0;
pub(crate) const INSET: f64 = 8.0;
/// Between two arrows that run side by side.
pub(crate) const TRACK: f64 = 9.0;
const WIDTHS: [f64; 4] = [184.0, 148.0, 156.0, 164.0];
const COLUMN_GAP: f64 = 34.0;
const ROW_GAP: f64 = 10.0;
/// Below notes that lead to the one under them: an arrow must be seen there.
const ARROW_GAP: f64 = 26.0;
const GROUP_GAP: f64 = 26.0;
const LANE_GAP: f64 = 12.0;
const LANE_PAD: f64 = 18.0;
pub(crate) const HEADER: f64 = 212.0;
pub(crate) const BAND: f64 = 58.0;
pub(crate) const LEGEND: f64 = 56.0;
pub(crate) const MARGIN: f64 = 20.0;

/// A rectangle.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Place {
    pub x: f64,
    pub y: f64,
    pub w: f64,
    pub h: f64,
}

impl Place {
    pub fn right(&self) -> f64 {
        self.x + self.w
    }
    pub fn bottom(&self) -> f64 {
        self.y + self.h
    }
    pub fn middle(&self) -> f64 {
        self.y + self.h / 2.0
    }
}

/// A picture's places.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    /// Of each note.
    pub notes: Vec<Place>,
    /// Below each note, to the next of its column.
    gaps: Vec<f64>,
    /// The frame around the commands of each group that has any.
    pub frames: BTreeMap<usize, Place>,
    /// Of each lane.
    pub lanes: Vec<Place>,
    /// Upper edge of each band's title.
    pub bands: Vec<f64>,
    /// Left edge and width of the gutter before each rank, and of the one behind the last.
    pub gutters: Vec<(f64, f64)>,
    /// The rank of each group.
    pub ranks: Vec<usize>,
    /// Which arrows run where.
    pub tracks: Tracks,
    pub width: f64,
    pub height: f64,
}

/// Each event has a track of its own wherever its arrows run, so that no two lie on each other.
#[derive(Debug, Default)]
pub(crate) struct Tracks {
    pub gutters: BTreeMap<(usize, NodeId), usize>,
    pub corridors: BTreeMap<(usize, NodeId), usize>,
}

/// Notes of one group, by column.
#[derive(Default, Clone)]
struct Group {
    lane: usize,
    columns: [Vec<NodeId>; 4],
}

impl Layout {
    /// Places a board.
    pub fn new(board: &Board) -> Self {
        let groups = groups(board);
        let mut layout = Self { notes: vec![Place::default(); board.nodes.len()], ..Self::default() };
        for (id, node) in board.numbered() {
            let width = if node.group.is_none() { HEADER - 40.0 } else { WIDTHS[column(node.kind)] };
            layout.gaps.push(if matches!(node.kind, Kind::Aggregate | Kind::View) { ARROW_GAP } else { ROW_GAP });
            layout.notes[id.0] = Place { w: width, h: height(&node.name, &node.sentence, node.kind, width), ..Place::default() };
        }
        layout.ranks = ranks(board, groups.len());
        layout.tracks = tracks(board, &layout.ranks);
        layout.place_columns(&groups);
        layout.place_rows(board, &groups);
        for (number, group) in groups.iter().enumerate().filter(|(_, group)| !group.columns[1].is_empty()) {
            layout.frames.insert(number, layout.around(&group.columns[1], 6.0));
        }
        layout
    }

    /// Gives every note its x.
    fn place_columns(&mut self, groups: &[Group]) {
        let last = self.ranks.iter().max().copied().unwrap_or_default();
        let mut x = MARGIN + HEADER;
        for rank in 0..=last + 1 {
            let tracks = self.tracks.gutters.keys().filter(|(gutter, _)| *gutter == rank).count();
            let width = 26.0 + count(tracks) * TRACK;
            self.gutters.push((x, width));
            x += width;
            let here: Vec<_> = (0..groups.len()).filter(|group| self.ranks[*group] == rank).collect();
            let mut gap = 0.0;
            for (column, width) in WIDTHS.iter().enumerate() {
                if here.iter().all(|group| groups[*group].columns[column].is_empty()) {
                    continue;
                }
                x += gap;
                for note in here.iter().flat_map(|group| &groups[*group].columns[column]) {
                    self.notes[note.0].x = x;
                }
                x += width;
                gap = COLUMN_GAP;
            }
        }
        self.width = x + MARGIN;
    }

    /// Gives every note its y, and every lane its place.
    fn place_rows(&mut self, board: &Board, groups: &[Group]) {
        let mut y = LEGEND;
        let mut band = usize::MAX;
        let order = lanes_by_band(board);
        self.lanes = vec![Place::default(); board.lanes.len()];
        self.bands = vec![0.0; board.bands.len()];
        for lane in order {
            if board.lanes[lane].band != band {
                band = board.lanes[lane].band;
                self.bands[band] = y;
                y += BAND;
            }
            let corridors = self.tracks.corridors.keys().filter(|(of, _)| *of == lane).count();
            let top = y + LANE_PAD + count(corridors) * TRACK;
            let below = self.place_lane(lane, top, groups).max(self.place_loose(board, lane, y)) + LANE_PAD;
            self.lanes[lane] = Place { x: MARGIN, y, w: self.width - 2.0 * MARGIN, h: below - y };
            y = below + LANE_GAP;
        }
        self.height = y + MARGIN - LANE_GAP;
    }

    /// Stacks the groups of a lane, those of each rank by themselves. Returns the lower edge.
    fn place_lane(&mut self, lane: usize, top: f64, groups: &[Group]) -> f64 {
        let mut below: BTreeMap<usize, f64> = BTreeMap::new();
        for (number, group) in groups.iter().enumerate().filter(|(_, group)| group.lane == lane) {
            let start = below.get(&self.ranks[number]).map_or(top, |below| below + GROUP_GAP);
            let tallest = group.columns.iter().map(|notes| self.stack_height(notes)).fold(0.0, f64::max);
            for notes in &group.columns {
                let mut y = start + (tallest - self.stack_height(notes)) / 2.0;
                for note in notes {
                    self.notes[note.0].y = y;
                    y += self.notes[note.0].h + self.gaps[note.0];
                }
            }
            below.insert(self.ranks[number], start + tallest);
        }
        below.into_values().fold(top, f64::max)
    }

    /// What belongs to the whole service stands under its name. Returns the lower edge.
    fn place_loose(&mut self, board: &Board, lane: usize, top: f64) -> f64 {
        let mut y = top + header_height(&board.lanes[lane]);
        for (id, _) in board.numbered().filter(|(_, node)| node.lane == lane && node.group.is_none()) {
            self.notes[id.0].x = MARGIN + 14.0;
            self.notes[id.0].y = y;
            y += self.notes[id.0].h + ROW_GAP;
        }
        y
    }

    fn stack_height(&self, notes: &[NodeId]) -> f64 {
        let gap = notes.last().map_or(0.0, |last| self.gaps[last.0]);
        notes.iter().map(|note| self.notes[note.0].h + self.gaps[note.0]).sum::<f64>() - gap
    }

    fn around(&self, notes: &[NodeId], by: f64) -> Place {
        let places = || notes.iter().map(|note| self.notes[note.0]);
        let (x, y) = places().fold((f64::MAX, f64::MAX), |(x, y), place| (x.min(place.x), y.min(place.y)));
        let (right, bottom) =
            places().fold((0.0, 0.0), |(r, b): (f64, f64), place| (r.max(place.right()), b.max(place.bottom())));
        Place { x: x - by, y: y - by, w: right - x + 2.0 * by, h: bottom - y + 2.0 * by }
    }
}

/// What stands under a lane's name: what sort of lane it is, whom it follows, and its sentence.
pub(crate) fn header_lines(lane: &Lane) -> Vec<String> {
    let sort = if lane.domain.is_empty() { "topic".to_owned() } else { format!("{} domain", lane.domain) };
    let follows = lane.follows.as_ref().map(|topic| format!("follows {topic}")).unwrap_or_default();
    wrap(&format!("{sort}\n{follows}\n{}", lane.sentence), HEADER - 34.0, SENTENCE_PX, 7)
}

fn header_height(lane: &Lane) -> f64 {
    48.0 + count(header_lines(lane).len()) * SENTENCE_LINE
}

/// The lines of a note: its name, and its sentence.
pub(crate) fn lines(name: &str, sentence: &str, kind: Kind, width: f64) -> (Vec<String>, Vec<String>) {
    let room = width - 2.0 * INSET;
    let most = if kind == Kind::Actor { 12 } else { 4 };
    (wrap(name, room, NAME_PX * 1.06, 4), wrap(sentence, room, SENTENCE_PX, most))
}

fn height(name: &str, sentence: &str, kind: Kind, width: f64) -> f64 {
    let (name, sentence) = lines(name, sentence, kind, width);
    let least = if kind == Kind::Aggregate { 64.0 } else { 30.0 };
    (2.0 * INSET + count(name.len()) * NAME_LINE + count(sentence.len()) * SENTENCE_LINE).max(least)
}

fn column(kind: Kind) -> usize {
    match kind {
        Kind::Actor | Kind::Policy | Kind::View => 0,
        Kind::Command => 1,
        Kind::Aggregate | Kind::External => 2,
        Kind::Event => 3,
    }
}

fn groups(board: &Board) -> Vec<Group> {
    let many = board.nodes.iter().filter_map(|node| node.group).max().map_or(0, |last| last + 1);
    let mut groups = vec![Group::default(); many];
    for (id, node) in board.numbered() {
        if let Some(group) = node.group {
            groups[group].lane = node.lane;
            groups[group].columns[column(node.kind)].push(id);
        }
    }
    groups
}

fn lanes_by_band(board: &Board) -> Vec<usize> {
    let mut lanes: Vec<_> = (0..board.lanes.len()).collect();
    lanes.sort_by_key(|lane| board.lanes[*lane].band);
    lanes
}

/// The arrows that leave their group.
pub(crate) fn crossing(board: &Board) -> impl Iterator<Item = (NodeId, NodeId, What)> + '_ {
    let far = board.arrows.iter().filter(|arrow| board.node(arrow.from).kind == Kind::Event);
    far.map(|arrow| (arrow.from, arrow.to, arrow.what))
}

/// Longest way from the beginning of the story. Declarations stand in its order; what leads back does not count.
fn ranks(board: &Board, groups: usize) -> Vec<usize> {
    let elsewhere = |group: usize| {
        let lane = board.nodes.iter().find(|node| node.group == Some(group)).map(|node| node.lane);
        lane.is_some_and(|lane| board.lanes[lane].domain.is_empty())
    };
    // Events of other topics have no declaration here, and come first.
    let order = |group: usize| (!elsewhere(group), group);
    let mut edges = BTreeSet::new();
    for (from, to, _) in crossing(board) {
        if let (Some(from), Some(to)) = (board.node(from).group, board.node(to).group)
            && order(from) < order(to)
        {
            edges.insert((from, to));
        }
    }
    let mut sorted: Vec<_> = (0..groups).collect();
    sorted.sort_by_key(|group| order(*group));
    let mut ranks = vec![0; groups];
    for group in sorted {
        for (_, to) in edges.range((group, 0)..(group + 1, 0)) {
            ranks[*to] = ranks[*to].max(ranks[group] + 1);
        }
    }
    ranks
}

fn tracks(board: &Board, ranks: &[usize]) -> Tracks {
    let mut tracks = Tracks::default();
    let rank = |note: NodeId| board.node(note).group.map_or(0, |group| ranks[group]);
    let mut gutters = BTreeSet::new();
    let mut corridors = BTreeSet::new();
    for (from, to, _) in crossing(board) {
        gutters.insert((rank(from) + 1, from));
        gutters.insert((rank(to), from));
        if rank(to) != rank(from) + 1 {
            corridors.insert((board.node(to).lane, from));
        }
    }
    number(&mut tracks.gutters, gutters);
    number(&mut tracks.corridors, corridors);
    tracks
}

/// Counts within each place from 0.
fn number(into: &mut BTreeMap<(usize, NodeId), usize>, keys: BTreeSet<(usize, NodeId)>) {
    let mut next: BTreeMap<usize, usize> = BTreeMap::new();
    for key in keys {
        let place = next.entry(key.0).or_default();
        into.insert(key, *place);
        *place += 1;
    }
}

/// Counts on a board are far below what a float holds exactly.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn count(number: usize) -> f64 {
    number as f64
}
