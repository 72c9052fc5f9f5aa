//! The board as data: notes in lanes, and arrows between them.

use serde::Serialize;

/// Everything that is drawn. Notes and lanes stand in the order of their declarations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Board {
    /// The systems, each over its lanes.
    pub bands: Vec<Band>,
    /// The services, and the topics from elsewhere.
    pub lanes: Vec<Lane>,
    /// The notes.
    pub nodes: Vec<Node>,
    /// Which note leads to which.
    pub arrows: Vec<Arrow>,
}

/// A system on the board, or everything that is not on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Band {
    /// The system's name.
    pub name: String,
    /// Its topic.
    pub topic: String,
    /// What it is for.
    pub sentence: String,
}

/// A swim-lane: one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lane {
    /// The system it belongs to, by its place in [`Board::bands`].
    pub band: usize,
    /// The service's name, or the topic's.
    pub name: String,
    /// What it is for.
    pub sentence: String,
    /// Core, supporting or general; empty for a topic from elsewhere.
    pub domain: String,
    /// The topic it follows, where that is another system's.
    pub follows: Option<String>,
}

/// A note's number on its board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct NodeId(pub usize);

/// One note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Its colour.
    pub kind: Kind,
    /// Its lane, by the place in [`Board::lanes`].
    pub lane: usize,
    /// Notes of one group stand together: an aggregate with what is asked of it and what it says, or one view.
    /// Counted over the board, in order; `None` for what belongs to the whole service.
    pub group: Option<usize>,
    /// What it is called in the code and on the wire.
    pub name: String,
    /// What it is, in words.
    pub sentence: String,
    /// Of an event: it changes its aggregate and does not leave the service.
    pub private: bool,
}

/// What a note stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A client or a reader outside of the system.
    Actor,
    /// A request to an aggregate.
    Command,
    /// What decides.
    Aggregate,
    /// A fact.
    Event,
    /// Whenever this, then that.
    Policy,
    /// A read model.
    View,
    /// What stands behind a port.
    External,
}

impl Kind {
    /// All of them, in the order of the legend.
    pub const ALL: [Self; 7] =
        [Self::Actor, Self::Command, Self::Aggregate, Self::Event, Self::Policy, Self::View, Self::External];

    /// Its name in the legend.
    pub fn name(self) -> &'static str {
        match self {
            Self::Actor => "actor",
            Self::Command => "command",
            Self::Aggregate => "aggregate",
            Self::Event => "event",
            Self::Policy => "policy",
            Self::View => "view (read model)",
            Self::External => "external system",
        }
    }

    /// The colour that is customary for it on a wall.
    pub fn colour(self) -> &'static str {
        match self {
            Self::Actor => "#fff3a8",
            Self::Command => "#8fc4f5",
            Self::Aggregate => "#ffd84d",
            Self::Event => "#ffad57",
            Self::Policy => "#cdb4f0",
            Self::View => "#9fdc9b",
            Self::External => "#f9b3cf",
        }
    }
}

/// One note leads to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Arrow {
    /// Where it starts.
    pub from: NodeId,
    /// Where it ends.
    pub to: NodeId,
    /// What it means.
    pub what: What,
}

/// What an arrow means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// An actor or a policy asks an aggregate for one of its commands; which one, only the function knows.
    Asks,
    /// A command is decided by an aggregate.
    Decides,
    /// An aggregate publishes an event.
    Publishes,
    /// An event sets off a policy.
    SetsOff,
    /// An event changes a view.
    Feeds,
    /// An aggregate reaches outside, and is answered.
    Reaches,
}

impl Board {
    /// A note by its number.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// All notes of a kind, with their numbers.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = (NodeId, &Node)> {
        self.numbered().filter(move |(_, node)| node.kind == kind)
    }

    /// All notes with their numbers.
    pub fn numbered(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.nodes.iter().enumerate().map(|(number, node)| (NodeId(number), node))
    }

    /// The names of its systems, for a title.
    pub fn title(&self) -> String {
        let names: Vec<_> = self.bands.iter().filter(|band| !band.name.is_empty()).map(|band| band.name.as_str()).collect();
        names.join(", ")
    }

    pub(crate) fn add(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        NodeId(self.nodes.len() - 1)
    }

    pub(crate) fn link(&mut self, from: NodeId, to: NodeId, what: What) {
        let arrow = Arrow { from, to, what };
        if !self.arrows.contains(&arrow) {
            self.arrows.push(arrow);
        }
    }
}
