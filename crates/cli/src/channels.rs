//! Real adapters of effects, which a binary puts in place of the handlers that systems declare.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use kernel::System;
use kernel::service::EffectHandlerDef;
use ports::Channel;

use crate::failed::Failed;

/// What an adapter is opened with.
#[derive(Clone, Copy)]
pub struct ChannelContext<'a> {
    /// The handler that the system declares for the port, for what the adapter leaves to it.
    pub handler: &'a EffectHandlerDef,
    system: &'a System,
}

impl<'a> ChannelContext<'a> {
    /// The system's settings, as they are configured; none where it declares none of this type.
    pub fn settings<S: 'static>(&self) -> Option<&'a S> {
        self.system.settings.as_deref()?.downcast_ref()
    }
}

/// Why an adapter cannot be opened; ends the start.
pub type ChannelError = Box<dyn Error + Send + Sync>;

/// Opens an adapter when the process starts, within its tokio runtime.
type Open = dyn Fn(ChannelContext<'_>) -> Result<Arc<dyn Channel>, ChannelError> + Send + Sync;

/// Adapters by port.
#[derive(Clone, Default)]
pub(crate) struct Channels(BTreeMap<&'static str, Arc<Open>>);

impl Channels {
    /// Puts an adapter behind a port.
    pub fn insert<F>(&mut self, port: &'static str, open: F)
    where
        F: Fn(ChannelContext<'_>) -> Result<Arc<dyn Channel>, ChannelError> + Send + Sync + 'static,
    {
        self.0.insert(port, Arc::new(open));
    }

    /// An adapter behind a port that no system has would never be called.
    pub fn check(&self, systems: &[System]) -> Result<(), Failed> {
        let known = |port: &str| systems.iter().flat_map(handlers).any(|handler| handler.port == port);
        match self.0.keys().find(|port| !known(port)) {
            None => Ok(()),
            Some(port) => {
                Err(Failed::config(format!("this binary has an adapter for the port `{port}`, and no system has effects for it")))
            }
        }
    }

    /// Opens the adapters of one system.
    pub fn open(&self, system: &System) -> Result<BTreeMap<String, Arc<dyn Channel>>, Failed> {
        let mut opened = BTreeMap::new();
        for handler in handlers(system) {
            if let Some(open) = self.0.get(handler.port) {
                let channel = open(ChannelContext { handler, system });
                let channel = channel
                    .map_err(|error| Failed::unavailable(format!("the adapter of the port `{}`: {error}", handler.port)))?;
                opened.insert(handler.port.to_owned(), channel);
            }
        }
        Ok(opened)
    }
}

fn handlers(system: &System) -> impl Iterator<Item = &EffectHandlerDef> {
    system.services.iter().flat_map(|service| &service.effect_handlers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(port: &'static str) -> Channels {
        let mut channels = Channels::default();
        channels.insert(port, |_| Err("no route to the carrier".into()));
        channels
    }

    #[test]
    fn an_adapter_for_an_unknown_port_is_named() {
        assert!(with("handset").check(&[rcs::system()]).is_ok());
        let error = with("handest").check(&[rcs::system()]).unwrap_err();
        assert!(error.code == crate::failed::USAGE && error.sentence.contains("`handest`"), "{error}");
    }

    #[test]
    fn an_adapter_that_cannot_be_opened_is_named_with_its_cause() {
        let error = with("handset").open(&rcs::system()).err().unwrap();
        assert_eq!(error.sentence, "the adapter of the port `handset`: no route to the carrier");
    }
}
