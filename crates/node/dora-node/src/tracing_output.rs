//! Events of the `tracing` crate become log lines of the node, so that `dora` shows them with their level.

use std::{collections::BTreeMap, fmt, sync::Arc};

use dora_message::id::{DataflowId, NodeId};
use tracing::field::{Field, Visit};
use tracing_subscriber::{EnvFilter, Layer, layer::Context, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{
    clock::NodeClock,
    error::{NodeError, NodeResult},
    node::log::{LogLine, rfc3339},
};

/// Keeps the output of [`init_tracing`] alive. Nothing is buffered today, so dropping it has no effect.
#[derive(Debug)]
#[must_use = "keep it until the node ends"]
pub struct TracingGuard(());

/// Makes events of the `tracing` crate log lines of this node. `RUST_LOG` says which; without it those from `info` on.
///
/// # Errors
/// [`NodeError::Tracing`] if the process has a subscriber already.
pub fn init_tracing(node_id: &NodeId, _dataflow_id: &DataflowId) -> NodeResult<TracingGuard> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let output = LogOutput { clock: Arc::new(NodeClock::alone(node_id)), node: node_id.clone() };
    let subscriber = tracing_subscriber::registry().with(output.with_filter(filter));
    subscriber.try_init().map_err(|error| NodeError::Tracing(error.to_string()))?;
    Ok(TracingGuard(()))
}

struct LogOutput {
    node: NodeId,
    clock: Arc<NodeClock>,
}

impl<S: tracing::Subscriber> Layer<S> for LogOutput {
    fn on_event(&self, event: &tracing::Event<'_>, _context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        LogLine {
            timestamp: rfc3339(self.clock.now_ns()),
            level: level_word(*event.metadata().level()),
            node_id: &self.node,
            message: &fields.message,
            target: Some(event.metadata().target()),
            fields: Some(&fields.others).filter(|others| !others.is_empty()),
            fields_dropped: None,
        }
        .print();
    }
}

fn level_word(level: tracing::Level) -> &'static str {
    match level {
        tracing::Level::ERROR => "error",
        tracing::Level::WARN => "warn",
        tracing::Level::INFO => "info",
        tracing::Level::DEBUG => "debug",
        tracing::Level::TRACE => "trace",
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: BTreeMap<String, String>,
}

impl Fields {
    fn set(&mut self, field: &Field, value: String) {
        match field.name() {
            "message" => self.message = value,
            name => {
                self.others.insert(name.to_owned(), value);
            }
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value.to_owned());
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, format!("{value:?}"));
    }
}
