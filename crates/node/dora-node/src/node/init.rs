//! How a node starts: in a dataflow, in a test, or on a terminal.

use std::{io::IsTerminal, path::PathBuf, sync::Arc};

use dora_message::{
    clock::Anchor,
    id::{DataId, DataflowId, NodeId},
    keeper::{NODE_CONFIG_ENV, NodeConfig},
};

use super::{DoraNode, DoraNodeBuilder, Outlet, Outputs, Sink};
use crate::{
    clock::NodeClock,
    connection::{self, ConnectError, Connected},
    error::{NodeError, NodeResult},
    event_stream::{EventScheduler, EventStream},
    fork::{self, ProcessBound},
    integration_testing::{self, Recorder, Script, TestRun, TestSink, TestingInput, TestingOptions, TestingOutput},
    pulse::Pulse,
    run_config::{Descriptor, NodeRunConfig},
};

impl DoraNode {
    /// Starts the node as the environment says. In this order:
    ///
    /// 1. a test run, if [`setup_integration_testing`](crate::integration_testing::setup_integration_testing) was
    ///    called in this thread,
    /// 2. in a dataflow, if `DORA_NODE_CONFIG` is set, as `dora run` does,
    /// 3. a test run, if `DORA_TEST_WITH_INPUTS` is set,
    /// 4. [interactively](Self::init_interactive), if standard input is a terminal.
    ///
    /// In a dataflow it returns when all nodes are ready, so nothing that is sent afterwards is lost.
    ///
    /// # Errors
    /// [`NodeError::NotANode`] if none of these applies; [`NodeError::Connect`] if the dataflow does not start, the
    /// versions do not match, or this process is a node already.
    pub fn init_from_env() -> NodeResult<(Self, EventStream)> {
        match Self::from_env()? {
            Some(started) => Ok(started),
            None if std::io::stdin().is_terminal() => Self::init_interactive(),
            None => Err(NodeError::NotANode),
        }
    }

    /// As [`Self::init_from_env`], but never interactive.
    ///
    /// # Errors
    /// As [`Self::init_from_env`].
    pub fn init_from_env_force() -> NodeResult<(Self, EventStream)> {
        Self::from_env()?.ok_or(NodeError::NotANode)
    }

    fn from_env() -> NodeResult<Option<(Self, EventStream)>> {
        fork::check()?;
        if let Some(test) = integration_testing::take_setup() {
            return Self::test(test).map(Some);
        }
        if let Ok(json) = std::env::var(NODE_CONFIG_ENV) {
            return Self::init(serde_json::from_str(&json).map_err(ConnectError::Config)?).map(Some);
        }
        integration_testing::from_env().map(Self::test).transpose()
    }

    /// Joins a running dataflow as this node, which has `path: dynamic` in the dataflow file.
    ///
    /// ```no_run
    /// # use dora_node::DoraNode;
    /// // While `dora run` runs a dataflow with `- { id: plot, path: dynamic, .. }`, in any terminal of the same user:
    /// let (_node, mut events) = DoraNode::init_from_node_id("plot".into())?;
    /// while let Some(event) = events.recv() {
    ///     println!("{event:?}");
    /// }
    /// # Ok::<(), dora_node::NodeError>(())
    /// ```
    ///
    /// It receives what is sent from now on, returns when the dataflow has started, and never waits for one. Dropping both
    /// halves leaves the dataflow: consumers read the end of its outputs. This process, or another one, may join again
    /// once every message that was received is dropped. The end of the dataflow is a [`Stop`](crate::Event::Stop) and the
    /// end of the stream; nobody ends the process. If several running dataflows have such a node, `DORA_DATAFLOW_ID` says
    /// which one is meant, or [`builder`](Self::builder) does.
    ///
    /// # Errors
    /// [`NodeError::Attach`] if there is no such node to be, which says what runs and what to do; [`NodeError::Connect`]
    /// if the dataflow does not start, or the versions do not match.
    pub fn init_from_node_id(node_id: NodeId) -> NodeResult<(Self, EventStream)> {
        Self::join(&node_id, None)
    }

    pub(super) fn join(node_id: &NodeId, dataflow: Option<DataflowId>) -> NodeResult<(Self, EventStream)> {
        fork::check()?;
        node_id.check()?;
        fork::watch();
        Self::connected(connection::join(node_id, dataflow)?)
    }

    /// As the environment says, and if that says nothing, as [`Self::init_from_node_id`].
    ///
    /// # Errors
    /// As these two.
    pub fn init_flexible(node_id: NodeId) -> NodeResult<(Self, EventStream)> {
        match Self::from_env()? {
            Some(started) => Ok(started),
            None => Self::init_from_node_id(node_id),
        }
    }

    /// Chooses how to start, step by step.
    pub fn builder() -> DoraNodeBuilder {
        DoraNodeBuilder::default()
    }

    /// Starts the node in a dataflow.
    #[doc(hidden)]
    pub fn init(node_config: NodeConfig) -> NodeResult<(Self, EventStream)> {
        fork::check()?;
        fork::watch();
        Self::connected(connection::connect(&node_config)?)
    }

    fn connected(connected: Connected) -> NodeResult<(Self, EventStream)> {
        let Connected { config, wired, connection } = connected;
        let clock = Arc::new(NodeClock::new(Anchor::from_ns(config.clock_anchor_ns), &config.node_id));
        let recorded_to = config.write_events_to.clone();
        let recorded_to = recorded_to.or_else(|| std::env::var_os("DORA_WRITE_EVENTS_TO").map(PathBuf::from));
        let recorder =
            recorded_to.map(|directory| Recorder::create(&directory, &config.node_id, &clock)).transpose()?;
        let mail = connection.mailbox().clone();
        let pulse = Pulse::new(config.health_checked.then(|| wired.waiter.pulse()));
        let outlet = Outlet::new(wired.producer, wired.outgoing, connection.clone(), config.keeper_ends_outputs);
        let scheduler = EventScheduler::connected(&config, wired.consumer, wired.incoming, mail, clock.clone());
        let events = EventStream::new(scheduler, wired.waiter, recorder, pulse.clone(), Some(connection.clone()));
        let node = DoraNode {
            id: config.node_id.clone(),
            dataflow_id: config.dataflow_id,
            config: NodeRunConfig::from(&config),
            restart_count: config.restart_count,
            clock,
            outputs: Outputs::new(&config.outputs),
            pulse,
            descriptor: Descriptor::from(config.descriptor),
            sink: ProcessBound::new(Sink::Channels(outlet)),
            _connection: ProcessBound::new(Some(connection)),
        };
        Ok((node, events))
    }

    /// Starts a test run: see [`integration_testing`](crate::integration_testing).
    ///
    /// # Errors
    /// [`NodeError::Testing`] if the inputs cannot be played or the outputs not be written.
    pub fn init_testing(
        input: TestingInput,
        output: TestingOutput,
        options: TestingOptions,
    ) -> NodeResult<(Self, EventStream)> {
        Self::test(TestRun { input, output, options })
    }

    fn test(run: TestRun) -> NodeResult<(Self, EventStream)> {
        let anchor = NodeClock::alone(&"test".into());
        let start_ns = anchor.now_ns();
        let (id, script) = Script::read(run.input, start_ns)?;
        let sink = TestSink::new(run.output, run.options, start_ns)?;
        let waiter = connection::waiter_alone()?;
        Ok(Self::alone(id, script, sink, waiter))
    }

    /// Starts the node on a terminal: events are typed, one per line, outputs are printed as JSON.
    ///
    /// # Errors
    /// [`NodeError::Connect`] if the system refuses something.
    pub fn init_interactive() -> NodeResult<(Self, EventStream)> {
        let id = NodeId::from("interactive");
        let waiter = connection::waiter_alone()?;
        let script = Script::typed(&id, waiter.waker())
            .map_err(|source| ConnectError::System { doing: "start the thread that reads the terminal", source })?;
        let output = TestingOutput::ToWriter(Box::new(std::io::stdout()));
        let sink = TestSink::new(output, TestingOptions { skip_output_time_offsets: true }, 0)?;
        Ok(Self::alone(id, script, sink, waiter))
    }

    fn alone(id: NodeId, script: Script, sink: TestSink, waiter: dora_channel::Waiter) -> (Self, EventStream) {
        fork::watch();
        let clock = Arc::new(NodeClock::alone(&id));
        let events =
            EventStream::new(EventScheduler::scripted(script, clock.clone()), waiter, None, Pulse::default(), None);
        let outputs: &[DataId] = &[];
        let node = DoraNode {
            id,
            dataflow_id: DataflowId::new_v4(),
            config: NodeRunConfig::default(),
            restart_count: 0,
            clock,
            outputs: Outputs::new(outputs),
            pulse: Pulse::default(),
            descriptor: Descriptor::from(serde_json::json!({ "nodes": [] })),
            sink: ProcessBound::new(Sink::Test(sink)),
            _connection: ProcessBound::new(None),
        };
        (node, events)
    }
}
