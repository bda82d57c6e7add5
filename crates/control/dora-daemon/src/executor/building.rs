//! Builds: those before a start, and those that are asked for by themselves.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
};

use dora_descriptor::Dataflow;
use dora_gateways::{BuildMode, BuildStep, Submission, Trouble};
use dora_message::id::NodeId;
use dora_rpc::{RpcStream, StreamSender, stream};
use tokio::runtime::Handle;

use super::{options::DaemonOptions, part, place::Place, trouble::panicked};
use crate::{
    build::{Build, BuildOptions, Refresh},
    prepare::PrepareError,
};

/// Steps that are on their way.
const ON_THE_WAY: usize = 64;

/// What there is to build for a dataflow.
pub(super) fn plan(
    options: &DaemonOptions,
    submission: &Submission,
    dataflow: &Dataflow,
    place: &Place,
) -> Result<Build, PrepareError> {
    let build = BuildOptions {
        refresh: if submission.build == BuildMode::All { Refresh::All } else { Refresh::Missing },
        inherited_env: options.inherited_env.clone(),
        uv: submission.uv,
        python_module: options.python_module.clone(),
        ..BuildOptions::new(options.keeper.clone())
    };
    Build::plan(dataflow, &place.file, &place.base, build)
}

/// A build that is asked for by itself.
pub(super) struct Builder {
    pub(super) options: Arc<DaemonOptions>,
    pub(super) submission: Submission,
    pub(super) nodes: Vec<NodeId>,
    pub(super) place: Place,
}

impl Builder {
    /// Begins, in a thread of its own. When nobody reads the steps any more, the build is cancelled.
    pub(super) fn start(self) -> io::Result<RpcStream<BuildStep>> {
        let (sender, steps) = stream(ON_THE_WAY);
        let (sender, runtime) = (Arc::new(sender), Handle::current());
        let work = move || {
            let built = catch_unwind(AssertUnwindSafe(|| self.build(&sender, &runtime)));
            let last = match built {
                Ok(Ok(())) => BuildStep::Done,
                Ok(Err(trouble)) => BuildStep::Failed(trouble),
                Err(panic) => BuildStep::Failed(panicked(&*panic)),
            };
            let _ = runtime.block_on(sender.send(last));
        };
        thread::Builder::new().name("build".to_owned()).spawn(work)?;
        Ok(steps)
    }

    fn build(&self, sender: &Arc<StreamSender<BuildStep>>, runtime: &Handle) -> Result<(), Trouble> {
        // A reader that is gone cancels the build.
        let say = |step| {
            let _ = runtime.block_on(sender.send(step));
        };
        let part = part::take(&self.submission.descriptor, &self.place.file, &self.nodes)?;
        let build = plan(&self.options, &self.submission, &part.dataflow, &self.place)?;
        build.warnings().iter().for_each(|warning| say(BuildStep::Warning(warning.clone())));
        let (control, reader) = (build.control(), sender.clone());
        let watching = runtime.spawn(async move {
            reader.abandoned().await;
            control.cancel();
        });
        let built = build.run(&mut |event| say(BuildStep::Event(event)));
        watching.abort();
        built?;
        Ok(())
    }
}
