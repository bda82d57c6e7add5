//! The sending half of a node.
//!
//! - [`outputs`](self): which outputs there are, here as a table; undeclared ones are ignored with one warning.
//! - `outlet`: the producer, and who ends its outputs.
//! - `send`: from an array or bytes to a message on every edge.
//! - `sample`: memory that is written before it is sent.
//! - `patterns`: services, actions and streams, which are conventions about parameters.
//! - `log`: log lines of the node.
//!
//! It must not know how a message is received.

mod builder;
mod init;
pub(crate) mod log;
mod outlet;
mod outputs;
mod patterns;
mod sample;
mod send;

use std::sync::Arc;

use dora_channel::INLINE_LEN;
use dora_message::id::{DataId, DataflowId, NodeId};

pub use builder::DoraNodeBuilder;
pub use log::NodeLog;
pub use patterns::StreamSegment;
pub use sample::{DataSample, EncodedSample, SampleAllocator};

use crate::{
    clock::NodeClock,
    connection::Connection,
    error::{NodeError, NodeResult},
    fork::{self, ProcessBound},
    integration_testing::TestSink,
    pulse::Pulse,
    run_config::{Descriptor, NodeRunConfig},
};
use outlet::Outlet;
use outputs::{Lookup, Outputs};

/// Kept for sources that compare payload sizes with it. Nothing depends on it: every payload of more than 24 bytes
/// travels through shared memory, see [`DoraNode::zero_copy_threshold`].
pub const ZERO_COPY_THRESHOLD: usize = 4096;

/// The sending half of a node: its outputs, its identity, its log.
///
/// ```no_run
/// use dora_node::{DoraNode, Event};
/// use dora_message::metadata::MetadataParameters;
///
/// let (mut node, mut events) = DoraNode::init_from_env()?;
/// while let Some(event) = events.recv() {
///     if let Event::Input { id, data, .. } = event {
///         println!("{id}: {} values", data.len());
///         node.send_output("count".into(), MetadataParameters::new(), data.len() as u64)?;
///     }
/// }
/// # Ok::<(), dora_node::NodeError>(())
/// ```
///
/// Dropping it closes all outputs: each consumer reads what is queued, then the end of the input. That end comes with the
/// end of the process, or half a second after the drop if the process goes on: so consumers of a program whose `main`
/// returns an error read first that the node has failed. [`close_outputs`](Self::close_outputs) does not wait.
/// It is independent of the [`EventStream`](crate::EventStream) and may live in another thread.
#[derive(Debug)]
pub struct DoraNode {
    id: NodeId,
    dataflow_id: DataflowId,
    config: NodeRunConfig,
    descriptor: Descriptor,
    restart_count: u32,
    clock: Arc<NodeClock>,
    outputs: Outputs,
    pulse: Pulse,
    sink: ProcessBound<Sink>,
    /// Keeps the connection open as long as either half lives. After `sink`, so that outputs are closed first.
    _connection: ProcessBound<Option<Arc<Connection>>>,
}

/// Where outputs go.
#[derive(Debug)]
enum Sink {
    /// To the consumers of the dataflow.
    Channels(Outlet),
    /// To the log of a test run.
    Test(TestSink),
}

impl DoraNode {
    /// The id of this node.
    pub fn id(&self) -> &NodeId {
        &self.id
    }

    /// The run that this node belongs to.
    pub fn dataflow_id(&self) -> &DataflowId {
        &self.dataflow_id
    }

    /// Inputs, and the outputs that are still open.
    pub fn node_config(&self) -> &NodeRunConfig {
        &self.config
    }

    /// The dataflow that this node belongs to, expanded, as JSON.
    ///
    /// # Errors
    /// None today; the signature is that of existing sources.
    pub fn dataflow_descriptor(&self) -> NodeResult<&Descriptor> {
        Ok(&self.descriptor)
    }

    /// Whether an earlier process of this node ran in the same dataflow.
    pub fn is_restart(&self) -> bool {
        self.restart_count > 0
    }

    /// How many processes of this node ran before this one in the same dataflow.
    pub fn restart_count(&self) -> u32 {
        self.restart_count
    }

    /// The time now on the clock that stamps messages. Greater than every earlier one of this node.
    ///
    /// All nodes of a dataflow on one machine share this clock, so the difference to the timestamp of a received
    /// message is its age. Changes of the wall clock do not disturb it.
    pub fn timestamp(&self) -> uhlc::Timestamp {
        self.clock.timestamp()
    }

    /// Payloads of this many bytes or more travel through shared memory; smaller ones, without parameters, in the
    /// descriptor of the message.
    pub fn zero_copy_threshold(&self) -> usize {
        INLINE_LEN + 1
    }

    /// Whether the dataflow file declares this output and it is open. If not, a warning is logged once per output.
    pub fn validate_output(&mut self, output_id: &DataId) -> bool {
        self.find_output(output_id).is_ok_and(|found| found.is_some())
    }

    /// Closes these outputs. Their consumers read what is queued, then the end of the input. What is sent on them from
    /// now on is ignored.
    ///
    /// # Errors
    /// [`NodeError::UnknownOutput`] if one of them is not an open output; then none is closed.
    pub fn close_outputs(&mut self, outputs_ids: Vec<DataId>) -> NodeResult<()> {
        fork::check()?;
        let test = matches!(&*self.sink, Sink::Test(_));
        if let Some(unknown) = outputs_ids.iter().find(|id| !test && !self.config.outputs.contains(*id)) {
            unknown.check()?;
            return Err(NodeError::UnknownOutput {
                node: self.id.clone(),
                output: unknown.clone(),
                outputs: self.config.outputs.iter().cloned().collect(),
            });
        }
        for id in outputs_ids {
            self.config.outputs.remove(&id);
            if let (Some(output), Sink::Channels(producer)) = (self.outputs.close(&id), &mut *self.sink) {
                producer.close_output(output);
            }
        }
        Ok(())
    }

    /// The number of an output. `None`: it is ignored, and the user was warned.
    #[inline]
    fn find_output(&mut self, id: &DataId) -> NodeResult<Option<usize>> {
        match self.outputs.find(id) {
            Lookup::Open(output) => Ok(Some(output)),
            Lookup::Other => self.explain_output(id),
        }
    }

    #[cold]
    fn explain_output(&mut self, id: &DataId) -> NodeResult<Option<usize>> {
        id.check()?;
        if let Sink::Test(_) = &*self.sink {
            return Ok(Some(self.outputs.declare(id))); // a test run takes whatever the node sends
        }
        if let Some(warning) = self.outputs.warning(id) {
            self.log("warn", &warning, Some("dora"));
        }
        Ok(None)
    }

    /// Not served: `namespace` and `key` would name a value that outlives this node.
    ///
    /// # Errors
    /// Always [`NodeError::Extension`].
    pub fn extension_store(&mut self, namespace: &str, _key: &str, _value: Vec<u8>) -> NodeResult<()> {
        Err(NodeError::Extension { namespace: namespace.to_owned() })
    }

    /// Not served, see [`Self::extension_store`].
    ///
    /// # Errors
    /// Always [`NodeError::Extension`].
    pub fn extension_load(&mut self, namespace: &str, _key: &str, _remove: bool) -> NodeResult<Option<Vec<u8>>> {
        Err(NodeError::Extension { namespace: namespace.to_owned() })
    }

    /// Not served, see [`Self::extension_store`].
    ///
    /// # Errors
    /// Always [`NodeError::Extension`].
    pub fn extension_drop(&mut self, namespace: &str, _key: &str) -> NodeResult<()> {
        Err(NodeError::Extension { namespace: namespace.to_owned() })
    }

    /// Not served, see [`Self::extension_store`].
    ///
    /// # Errors
    /// Always [`NodeError::Extension`].
    pub fn extension_request(&mut self, namespace: &str, _payload: Vec<u8>) -> NodeResult<Vec<u8>> {
        Err(NodeError::Extension { namespace: namespace.to_owned() })
    }
}
