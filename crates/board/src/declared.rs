//! From declarations to notes and arrows.

use std::collections::BTreeMap;

use kernel::service::{AggregateDef, Service, System};
use kernel::{Domain, resource::ResourceDef};

use crate::model::{Band, Board, Kind, Lane, Node, NodeId, What};

impl Board {
    /// The board of these systems. Events that they wait for and none of them publishes come from lanes of their own.
    pub fn new(systems: &[System]) -> Self {
        let mut draft = Draft::default();
        for system in systems {
            let band = draft.board.bands.len();
            draft.board.bands.push(Band {
                name: system.name.to_owned(),
                topic: system.topic.to_owned(),
                sentence: system.sentence.to_owned(),
            });
            for service in &system.services {
                draft.service(band, system, service);
            }
        }
        draft.connect();
        draft.board
    }
}

/// A note that waits for an event of a topic.
struct Waiting {
    topic: String,
    event: String,
    node: NodeId,
    what: What,
}

#[derive(Default)]
struct Draft {
    board: Board,
    groups: usize,
    /// The notes of each published event, by topic and name.
    published: BTreeMap<(String, String), Vec<NodeId>>,
    waiting: Vec<Waiting>,
}

impl Draft {
    fn service(&mut self, band: usize, system: &System, service: &Service) {
        let lane = self.lane(Lane {
            band,
            name: service.name.to_owned(),
            sentence: service.sentence.to_owned(),
            domain: domain(service.domain).to_owned(),
            follows: service.follows.map(str::to_owned),
        });
        let follows = service.follows.unwrap_or(system.topic);
        for aggregate in &service.aggregates {
            self.aggregate(lane, system.topic, follows, service, aggregate);
        }
        for view in &service.views {
            let group = self.group();
            let read = self.note(Kind::View, lane, group, view.name, view.sentence);
            let reader = self.note(Kind::Actor, lane, group, "reader", &format!("GET /{}", view.name));
            self.board.link(read, reader, What::Feeds);
            for event in &view.events {
                self.wait(follows, event, read, What::Feeds);
            }
        }
        self.outside(lane, service);
    }

    fn aggregate(&mut self, lane: usize, topic: &str, follows: &str, service: &Service, def: &AggregateDef) {
        let group = self.group();
        let name = def.of.name();
        let resource = service.resources.iter().find(|resource| resource.aggregate == def.of.type_id());
        let sentence = resource.map(|resource| resource.sentence).unwrap_or_default();
        let decides = self.note(Kind::Aggregate, lane, group, name, sentence);
        for command in def.of.commands() {
            let command = self.note(Kind::Command, lane, group, &command.name, &command.sentence);
            self.board.link(command, decides, What::Decides);
        }
        if let Some(resource) = resource.filter(|resource| !requests(resource).is_empty()) {
            let actor = self.note(Kind::Actor, lane, group, "client", &requests(resource).join("\n"));
            self.board.link(actor, decides, What::Asks);
        }
        for policy in service.policies.iter().filter(|policy| policy.target_type == def.of.type_id()) {
            let note = self.note(Kind::Policy, lane, group, policy.name, policy.sentence);
            self.board.link(note, decides, What::Asks);
            self.wait(follows, &policy.event_type, note, What::SetsOff);
        }
        for event in def.of.events() {
            let note = self.note(Kind::Event, lane, group, &event.name, &event.sentence);
            self.board.link(decides, note, What::Publishes);
            self.board.nodes[note.0].private = event.private;
            if !event.private {
                self.published.entry((topic.to_owned(), event.name)).or_default().push(note);
            }
        }
        if !def.of.port().is_empty() {
            let port = self.note(Kind::External, lane, group, def.of.port(), "");
            self.board.link(decides, port, What::Reaches);
        }
    }

    /// What the whole service asks: directories, and ports that no aggregate of it names.
    fn outside(&mut self, lane: usize, service: &Service) {
        let named: Vec<_> = service.aggregates.iter().map(|def| def.of.port()).collect();
        for answerer in &service.answerers {
            self.board.add(loose(lane, answerer.port, "answers questions"));
        }
        for effect_handler in service.effect_handlers.iter().filter(|effect_handler| !named.contains(&effect_handler.port)) {
            self.board.add(loose(lane, effect_handler.port, ""));
        }
    }

    /// Draws the arrows from events, once all of them are known.
    fn connect(&mut self) {
        for Waiting { topic, event, node, what } in std::mem::take(&mut self.waiting) {
            let key = (topic, event);
            if !self.published.contains_key(&key) {
                let note = self.stranger(&key.0, &key.1);
                self.published.insert(key.clone(), vec![note]);
            }
            for from in self.published.get(&key).into_iter().flatten() {
                self.board.link(*from, node, what);
            }
        }
    }

    fn stranger(&mut self, topic: &str, event: &str) -> NodeId {
        let found = self.board.lanes.iter().position(|lane| lane.domain.is_empty() && lane.name == topic);
        let lane = found.unwrap_or_else(|| self.elsewhere(topic));
        let group = self.board.nodes.iter().find(|node| node.lane == lane).and_then(|node| node.group);
        let group = group.unwrap_or_else(|| self.group());
        self.note(Kind::Event, lane, group, event, "")
    }

    fn elsewhere(&mut self, topic: &str) -> usize {
        let nowhere = self.board.bands.iter().position(|band| band.name.is_empty());
        let band = nowhere.unwrap_or_else(|| {
            self.board.bands.push(Band { name: String::new(), topic: String::new(), sentence: "not on this board".into() });
            self.board.bands.len() - 1
        });
        let sentence = "Published elsewhere.".to_owned();
        self.lane(Lane { band, name: topic.to_owned(), sentence, domain: String::new(), follows: None })
    }

    fn lane(&mut self, lane: Lane) -> usize {
        self.board.lanes.push(lane);
        self.board.lanes.len() - 1
    }

    fn group(&mut self) -> usize {
        self.groups += 1;
        self.groups - 1
    }

    fn note(&mut self, kind: Kind, lane: usize, group: usize, name: &str, sentence: &str) -> NodeId {
        let (name, sentence) = (name.to_owned(), sentence.to_owned());
        self.board.add(Node { kind, lane, group: Some(group), name, sentence, private: false })
    }

    fn wait(&mut self, topic: &str, event: &str, node: NodeId, what: What) {
        self.waiting.push(Waiting { topic: topic.to_owned(), event: event.to_owned(), node, what });
    }
}

fn loose(lane: usize, port: &str, sentence: &str) -> Node {
    Node { kind: Kind::External, lane, group: None, name: port.to_owned(), sentence: sentence.to_owned(), private: false }
}

/// What may be asked for over HTTP, as a client writes it.
fn requests(resource: &ResourceDef) -> Vec<String> {
    let name = resource.name;
    let mut requests = Vec::new();
    if resource.create.is_some() {
        requests.push(format!("POST /{name}"));
    }
    if resource.replace.is_some() {
        requests.push(format!("PUT /{name}/{{id}}"));
    }
    if resource.delete.is_some() {
        requests.push(format!("DELETE /{name}/{{id}}"));
    }
    requests.extend(resource.actions.iter().map(|action| format!("PUT /{name}/{{id}}/{}", action.name)));
    requests
}

fn domain(domain: Domain) -> &'static str {
    match domain {
        Domain::Core => "core",
        Domain::Supporting => "supporting",
        Domain::General => "general",
    }
}
