//! Which dataflow somebody means.

use dora_descriptor::nearest;
use dora_gateways::{DataflowSelector, DispatcherError};
use dora_rpc::{MainThread, Message, Reply};
use dora_store::{DataflowRecord, Store, StoreError};

use super::{Dispatcher, Running, refusal::store_failed};

/// What was found.
pub(super) enum Found {
    /// It has a master.
    Running(Running),
    /// It has ended.
    Ended(Box<DataflowRecord>),
}

impl Dispatcher {
    /// Finds a dataflow and goes on with it; if there is none, the caller is told.
    pub(super) fn find<T: Message>(
        &mut self,
        main: &mut MainThread<Self>,
        selector: DataflowSelector,
        reply: Reply<T, DispatcherError>,
        next: impl FnOnce(&mut Self, &mut MainThread<Self>, Found, Reply<T, DispatcherError>) + Send + 'static,
    ) {
        match self.running(&selector) {
            Ok(Some(running)) => next(self, main, Found::Running(running), reply),
            Err(error) => reply.err(error),
            Ok(None) => {
                let store = self.shared.store.clone();
                let names: Vec<_> = self.running.values().filter_map(|running| running.name.clone()).collect();
                main.blocking(
                    move || remembered(&store, &selector, &names),
                    move |dispatcher: &mut Self, main, found| match found {
                        Ok(record) => next(dispatcher, main, Found::Ended(Box::new(record)), reply),
                        Err(error) => reply.err(error),
                    },
                );
            }
        }
    }

    /// The dataflow with a master that is meant; none if it may be one that has ended.
    fn running(&self, selector: &DataflowSelector) -> Result<Option<Running>, DispatcherError> {
        let mut all = self.running.values();
        match selector {
            DataflowSelector::Id(id) => Ok(self.running.get(id).cloned()),
            DataflowSelector::Name(name) => Ok(all.find(|it| it.name.as_ref() == Some(name)).cloned()),
            DataflowSelector::Only => match (all.next(), all.next()) {
                (Some(only), None) => Ok(Some(only.clone())),
                _ => Err(DispatcherError::Ambiguous { running: self.running.values().map(Running::summary).collect() }),
            },
        }
    }
}

/// The dataflow that is meant among those that have ended.
fn remembered(
    store: &Store,
    selector: &DataflowSelector,
    running: &[String],
) -> Result<DataflowRecord, DispatcherError> {
    let failed = |error: StoreError| store_failed(&error);
    let (given, record) = match selector {
        DataflowSelector::Id(id) => (id.to_string(), store.get(*id).map_err(failed)?),
        DataflowSelector::Name(name) => (name.clone(), store.named(name).map_err(failed)?),
        DataflowSelector::Only => (String::new(), None),
    };
    // One that has not ended and has no master is being submitted just now: nobody has been told of it yet.
    if let Some(record) = record.filter(|record| record.state.is_final()) {
        return Ok(record);
    }
    let all = store.all().map_err(failed)?;
    let names = all.iter().filter_map(DataflowRecord::name).chain(running.iter().map(String::as_str));
    let near = nearest(&given, names).into_iter().map(str::to_owned).collect();
    Err(DispatcherError::UnknownDataflow { given, near })
}
