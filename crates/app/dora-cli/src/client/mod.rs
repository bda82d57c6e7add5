//! The way of a command to a coordinator: which one, how, and what its errors mean to a user.
//!
//! A command has [`CoordinatorArgs`] among its arguments, makes a [`Client`] of them, and asks by [`Client::run`]:
//!
//! ```text
//! let client = Client::connect(&arguments.coordinator)?;
//! let dataflows = client.run(client.dispatcher().list(ListFilter::default()))?;
//! ```
//!
//! Everything happens on the thread of the command: nothing runs between two calls. Ctrl-C ends the process, as it does
//! with any other program, and with it the connection: the coordinator stops working on a call whose caller is gone. Who
//! has something to do at a Ctrl-C listens with [`CtrlC`]. It must not know what a command asks.

mod absence;
mod arguments;
pub(crate) mod contexts;
mod ctrl_c;
pub(crate) mod explain;
mod host_port;
mod target;

use std::{cell::OnceCell, time::Duration};

use dora_gateways::{DispatcherCall, MetricQueryServiceCall};
use dora_rpc::{Address, Gateway, Request, Role, RpcConfig, RpcService};
use tokio::{
    net::TcpStream,
    runtime::{Builder, Runtime},
    time::timeout,
};

pub(crate) use self::{
    absence::for_port,
    arguments::{CoordinatorArgs, DEFAULT_PORT},
    ctrl_c::CtrlC,
    explain::Explain,
    host_port::HostPort,
    target::{Place, Target},
};
use crate::error::CommandError;

/// The name of the endpoint that serves dataflows.
const DISPATCHER: &str = "dispatcher";
/// The name of the endpoint that serves figures.
const METRICS: &str = "metrics";

/// How long it may take to find out that nobody is there.
pub(crate) const REACH: Duration = Duration::from_secs(2);

/// A coordinator that was reached.
pub(crate) struct Client {
    target: Target,
    service: RpcService,
    dispatcher: Gateway<DispatcherCall>,
    metrics: OnceCell<Gateway<MetricQueryServiceCall>>,
    /// Lives until the process ends: nobody waits for a host name that is still looked up.
    runtime: &'static Runtime,
}

impl Client {
    /// Reaches the coordinator that is meant, within two seconds, or says why not.
    pub(crate) fn connect(arguments: &CoordinatorArgs) -> Result<Self, CommandError> {
        Self::connect_to(Target::resolve(arguments)?)
    }

    /// The same for a coordinator that is known already.
    pub(crate) fn connect_to(target: Target) -> Result<Self, CommandError> {
        let runtime: &Runtime = Box::leak(Box::new(runtime()?));
        let (service, dispatcher) = runtime.block_on(async {
            let service = RpcService::new(RpcConfig::new(Role::Client, "dora"));
            let dispatcher = open(&service, &target, DISPATCHER).await?;
            Ok::<_, CommandError>((service, dispatcher))
        })?;
        Ok(Self { target, service, dispatcher, metrics: OnceCell::new(), runtime })
    }

    /// The dispatcher; each call may take ten seconds.
    pub(crate) fn dispatcher(&self) -> &Gateway<DispatcherCall> {
        &self.dispatcher
    }

    /// The dispatcher, for calls that take as long as they take: the end of a dataflow, say.
    pub(crate) fn patient(&self) -> Gateway<DispatcherCall> {
        self.dispatcher.within(Duration::MAX)
    }

    /// The service that has figures.
    pub(crate) fn metrics(&self) -> Result<&Gateway<MetricQueryServiceCall>, CommandError> {
        if let Some(known) = self.metrics.get() {
            return Ok(known);
        }
        let opened = self.block_on(open(&self.service, &self.target, METRICS))?;
        Ok(self.metrics.get_or_init(|| opened))
    }

    /// Makes a call to its end. Its error is told as the user should read it.
    pub(crate) fn run<T, E: Explain>(&self, call: impl Future<Output = Result<T, E>>) -> Result<T, CommandError> {
        self.block_on(call).map_err(|error| self.explain(error))
    }

    /// Runs what is no single call: a stream of lines, several calls at once.
    pub(crate) fn block_on<F: Future>(&self, work: F) -> F::Output {
        self.runtime.block_on(work)
    }

    /// What calls run on, for who makes them from several threads.
    pub(crate) fn runtime(&self) -> &Runtime {
        self.runtime
    }

    /// An error of this coordinator as the user should read it.
    pub(crate) fn explain(&self, error: impl Explain) -> CommandError {
        error.explain(self.target.place())
    }

    /// Waits until the coordinator has ended, which it was asked to.
    pub(crate) fn await_end(&self, limit: Duration) -> Result<(), CommandError> {
        let ended = self.block_on(async { timeout(limit, self.dispatcher.closed()).await });
        ended.map_err(|_| {
            CommandError::failed(format!("the coordinator at {} has not ended after {limit:?}", self.place()))
                .with_hint("look at its log")
        })
    }

    /// Where the coordinator is, for people.
    pub(crate) fn place(&self) -> &Place {
        self.target.place()
    }
}

/// Opens an endpoint of a coordinator.
async fn open<R: Request>(service: &RpcService, target: &Target, endpoint: &str) -> Result<Gateway<R>, CommandError> {
    let opened = service.connect(&address_of(target).await?, endpoint).await;
    opened.map_err(|error| error.explain(target.place()))
}

/// Where a coordinator is dialled.
pub(crate) async fn address_of(target: &Target) -> Result<Address, CommandError> {
    match target.address() {
        Some(address) => Ok(address.clone()),
        None => Err(stranger(target).await),
    }
}

/// What is wrong with a place about which nothing is known: nobody is there, or it is not known here.
async fn stranger(target: &Target) -> CommandError {
    let Place::There { host, port } = target.place() else {
        return explain::unreachable(target.place(), "no way to it");
    };
    match timeout(REACH, TcpStream::connect((host.as_str(), *port))).await {
        Ok(Ok(_answers)) => explain::stranger(target.place(), target.neighbours()),
        Ok(Err(error)) => explain::unreachable(target.place(), &error.to_string()),
        Err(_) => explain::unreachable(target.place(), &format!("no answer within {REACH:?}")),
    }
}

/// Threads of the coordinator for work that blocks: it writes one thing at a time anyway, and each thread costs memory.
const BLOCKING_THREADS: usize = 16;

/// A runtime of one thread, for the commands that talk with a coordinator and for the services.
pub(crate) fn runtime() -> Result<Runtime, CommandError> {
    built(&mut Builder::new_current_thread())
}

/// The same for the coordinator, whose work that blocks is short. In the daemon some waits for slow readers, and nothing
/// else may wait for them.
pub(crate) fn frugal_runtime() -> Result<Runtime, CommandError> {
    built(Builder::new_current_thread().max_blocking_threads(BLOCKING_THREADS))
}

fn built(builder: &mut Builder) -> Result<Runtime, CommandError> {
    let runtime = builder.enable_all().build();
    runtime.map_err(|error| CommandError::failed(format!("the system refuses what networking needs: {error}")))
}
