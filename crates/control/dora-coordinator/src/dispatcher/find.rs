//! Which dataflow somebody means.

use dora_descriptor::nearest;
use dora_gateways::{DataflowId, DataflowSelector, DataflowSummary, DispatcherError};
use dora_rpc::{MainThread, Message, Reply};
use dora_store::{DataflowRecord, Store, StoreError};

use super::{Dispatcher, Running, refusal::store_failed};

/// Shorter beginnings of ids are none: they may be meant as names.
const SHORTEST_PREFIX: usize = 4;
/// So many dataflows are told whose ids begin alike.
const CANDIDATES: usize = 8;

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
                    move |dispatcher: &mut Self, main, found| match found.and_then(|record| dispatcher.current(record))
                    {
                        Ok(found) => next(dispatcher, main, found, reply),
                        Err(error) => reply.err(error),
                    },
                );
            }
        }
    }

    /// What has become of a dataflow that is in the store.
    fn current(&self, record: DataflowRecord) -> Result<Found, DispatcherError> {
        match self.running.get(&record.id) {
            _ if record.state.is_final() => Ok(Found::Ended(Box::new(record))),
            Some(running) => Ok(Found::Running(running.clone())),
            // It is being submitted just now: nobody has been told of it yet.
            None => Err(DispatcherError::UnknownDataflow { given: record.id.to_string(), near: Vec::new() }),
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

/// The dataflow that is meant among those that have ended, or any whose id begins so.
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
    let all = store.select(|record| Some(record.summary())).map_err(failed)?;
    match with_prefix(&all, &given).as_slice() {
        [] => {}
        [one] => {
            let unknown = || DispatcherError::UnknownDataflow { given, near: Vec::new() };
            return store.get(*one).map_err(failed)?.ok_or_else(unknown);
        }
        several => {
            let near = several.iter().take(CANDIDATES).map(DataflowId::to_string).collect();
            return Err(DispatcherError::UnknownDataflow { given, near });
        }
    }
    let names = all.iter().filter_map(|it| it.name.as_deref()).chain(running.iter().map(String::as_str));
    let near = nearest(&given, names).into_iter().map(str::to_owned).collect();
    Err(DispatcherError::UnknownDataflow { given, near })
}

/// Those whose ids begin with this, if it is the beginning of an id.
fn with_prefix(all: &[DataflowSummary], given: &str) -> Vec<DataflowId> {
    let is_prefix = given.len() >= SHORTEST_PREFIX && given.chars().all(|char| char.is_ascii_hexdigit() || char == '-');
    let given = given.to_ascii_lowercase();
    let begins = |id: &DataflowId| is_prefix && id.to_string().starts_with(&given);
    all.iter().map(|it| it.id).filter(begins).collect()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use dora_gateways::{DataflowState, Submission};

    use super::*;

    /// Two dataflows that have ended, whose ids begin alike.
    fn store() -> Store {
        let store = Store::in_memory().expect("memory");
        for number in [0xabcd_0001_u128, 0xabcd_1002] {
            let id = DataflowId(uuid::Uuid::from_u128(number << 96));
            let submission = Submission { name: Some(format!("flow{}", number & 3)), ..Submission::default() };
            store.submit(&DataflowRecord::new(id, DateTime::UNIX_EPOCH, submission)).expect("memory");
            store.update(id, |record| record.state = DataflowState::Finished).expect("memory");
        }
        store
    }

    #[test]
    fn the_beginning_of_an_id_is_enough_if_no_other_begins_so() {
        let store = store();
        let found = |given: &str| remembered(&store, &DataflowSelector::Name(given.to_owned()), &[]);
        assert_eq!(found("abcd0").expect("one").name(), Some("flow1"));
        assert_eq!(found("ABCD1002-").expect("one").name(), Some("flow2"));
        let several = found("abcd").expect_err("two");
        assert!(matches!(&several, DispatcherError::UnknownDataflow { near, .. } if near.len() == 2), "{several}");
        for none in ["abc", "abce", "", "flow"] {
            let unknown = found(none).expect_err("none");
            assert!(matches!(&unknown, DispatcherError::UnknownDataflow { near, .. } if near.len() < 2), "{unknown}");
        }
    }
}
