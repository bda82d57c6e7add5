//! One look at everything that runs.

use dora_gateways::{DataflowInfo, DataflowSelector, DispatcherGateway as _, MetricQuery};
use dora_gateways::{DispatcherError, MetricQueryServiceGateway as _};

use crate::{client::Client, command::list::Status, error::CommandError, figures::Figures};

/// What runs, and its figures.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Moment {
    pub(super) dataflows: Vec<DataflowInfo>,
    pub(super) figures: Figures,
}

impl Moment {
    /// A later look: rates are those since this one.
    pub(super) fn next(self, later: Moment) -> Self {
        Self { dataflows: later.dataflows, figures: self.figures.next(later.figures.now) }
    }

    /// What people call a dataflow.
    pub(super) fn name(&self, dataflow: dora_gateways::DataflowId) -> String {
        let known = self.dataflows.iter().find(|other| other.summary.id == dataflow);
        known.and_then(|dataflow| dataflow.summary.name.clone()).unwrap_or_else(|| dataflow.to_string())
    }
}

/// Asks for everything that runs now.
pub(super) fn look(client: &Client) -> Result<Moment, CommandError> {
    let metrics = client.metrics()?;
    let snapshot = client.run(metrics.snapshot(MetricQuery::default()))?;
    let filter = Status::Running.filter();
    let running = client.run(client.dispatcher().list(filter))?;
    let mut dataflows = Vec::with_capacity(running.len());
    for dataflow in running {
        match client.block_on(client.dispatcher().info(DataflowSelector::Id(dataflow.id))) {
            Ok(info) => dataflows.push(info),
            // It has ended, and was forgotten, in between.
            Err(DispatcherError::UnknownDataflow { .. }) => {}
            Err(error) => return Err(client.explain(error)),
        }
    }
    Ok(Moment { dataflows, figures: Figures::first(snapshot) })
}
