//! Tests: endpoints of a coordinator that do what a closure says, and arguments of a command line.

use dora_gateways::{DispatcherCall, MetricQueryServiceCall};
use dora_rpc::{Address, Gateway, MainThread, Request, Role, RpcConfig, RpcEndpoint, RpcService};

/// The arguments that these words are.
pub(crate) fn parsed<A: clap::Args>(words: &[&str]) -> Result<A, clap::Error> {
    let command = A::augment_args(clap::Command::new("dora")).no_binary_name(true);
    A::from_arg_matches(&command.try_get_matches_from(words)?)
}

struct Script<R, F> {
    answer: F,
    _calls: std::marker::PhantomData<fn(R)>,
}

impl<R: Request, F: FnMut(R) + Send + 'static> RpcEndpoint for Script<R, F> {
    type Call = R;

    fn handle(&mut self, _main: &mut MainThread<Self>, call: R) {
        (self.answer)(call);
    }
}

/// A dispatcher on the other side of a connection: everything becomes bytes on the way.
pub(crate) async fn dispatcher(
    answer: impl FnMut(DispatcherCall) + Send + 'static,
) -> (RpcService, Gateway<DispatcherCall>) {
    endpoint("dispatcher", answer).await
}

/// The same for the service of figures.
pub(crate) async fn metrics(
    answer: impl FnMut(MetricQueryServiceCall) + Send + 'static,
) -> (RpcService, Gateway<MetricQueryServiceCall>) {
    endpoint("metrics", answer).await
}

async fn endpoint<R: Request>(name: &str, answer: impl FnMut(R) + Send + 'static) -> (RpcService, Gateway<R>) {
    let config = RpcConfig { force_serialization: true, ..RpcConfig::new(Role::Coordinator, "test") };
    let service = RpcService::new(config);
    service.start_server(name, Script { answer, _calls: std::marker::PhantomData }).expect("a free name");
    let gateway = service.connect(&Address::here(), name).await.expect("an endpoint");
    (service, gateway)
}
