//! Requests of clients, and what the cores want done outside.

use pabal_core::{Action, Input};

use super::{Cluster, Planned, ServiceStore};
use crate::clients::ClientRequest;

impl Cluster {
    /// A client sends its request to any replica.
    pub(super) fn request(&mut self, request: ClientRequest) {
        let find = |service: &ServiceStore| service.model.find(request.to.0, request.to.1).map(|table| table.id);
        let found = self.services.iter().enumerate().find_map(|(number, service)| Some((number, find(service)?)));
        let Some((service, table)) = found else { panic!("{:?} is not declared", request.to) };
        let of = |number: &usize| self.replicas[*number].service == service;
        let replicas: Vec<usize> = (0..self.replicas.len()).filter(of).collect();
        let number = replicas[usize::try_from(self.chance.below(replicas.len() as u64)).unwrap_or(0)];
        let now = self.now();
        if self.replicas[number].process.is_none() || self.replicas[number].frozen_until_ms > self.now_ms {
            // The connection is refused: that does not count as a try, however long it takes.
            let after = 10 + self.chance.below(500);
            return self.plan(after, Planned::Request(request));
        }
        if self.chance.strikes("request at two replicas", self.faults.two_replicas) {
            self.plan(0, Planned::Request(request.clone()));
        }
        let queued = self.clients.request(request, table);
        self.log(format!("send {} as {} to {number}", queued.request.cause.request, queued.ticket));
        self.asked.insert(queued.ticket, number);
        self.replicas[number].wake_ms = self.now_ms;
        let process = self.replicas[number].process.as_mut();
        let rejected = process.and_then(|process| process.core.accept(Input::Command(Box::new(queued)), now));
        if let Some(action) = rejected {
            self.act(number, action);
        }
    }

    pub(super) fn act(&mut self, replica: usize, action: Action) {
        match action {
            Action::Reply { ticket, result } => {
                self.asked.remove(&ticket);
                let said = if result.is_ok() { "ok" } else { "no" };
                self.log(format!("answer {} {said}", self.clients.name_of(ticket)));
                if let Some((after_ms, request)) = self.clients.answered(ticket, result) {
                    self.plan(after_ms, Planned::Request(request));
                }
            }
            Action::Call(job) => {
                let reaction = self.effects.call(&job);
                self.log(format!("{replica} calls {} asking {}", job.id, job.asking));
                let (life, number, attempt) = (self.replicas[replica].life, job.number, job.attempt);
                for (after_ms, reaction) in self.effects.deliveries(reaction) {
                    self.plan(after_ms, Planned::Reply { replica, life, number, attempt, reaction });
                }
            }
            Action::Committed { .. } => self.log(format!("{replica} committed")),
        }
    }
}
