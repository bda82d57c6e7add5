//! Version N talks with N-1, both ways: greetings, methods, arguments, fields.

use dora_rpc::{Address, ConnectError, ListenOn, Role, RpcConfig, RpcError, RpcService};

use crate::link::config;

/// The gateway as the older version has it.
mod older {
    use dora_rpc::{MainThread, RpcEndpoint, RpcError};
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Job {
        pub name: String,
    }

    dora_rpc::gateway! {
        /// Runs jobs.
        pub trait JobGateway, calls JobCall {
            /// Runs a job; its name.
            async fn run(&self, job: Job) -> Result<String, RpcError> => Run;
        }
    }

    pub struct Jobs;

    impl RpcEndpoint for Jobs {
        type Call = JobCall;

        fn handle(&mut self, _main: &mut MainThread<Self>, call: JobCall) {
            match call {
                JobCall::Run { job, reply } => reply.ok(format!("old {}", job.name)),
            }
        }
    }
}

/// The gateway as the newer version has it: a field, an argument and a method more.
mod newer {
    use dora_rpc::{MainThread, RpcEndpoint, RpcError};
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Job {
        #[serde(default)]
        pub labels: Vec<String>,
        pub name: String,
    }

    dora_rpc::gateway! {
        /// Runs jobs.
        pub trait JobGateway, calls JobCall {
            /// Stops a job.
            async fn stop(&self, name: String) -> Result<(), RpcError> => Stop;
            /// Runs a job; its name.
            async fn run(&self, #[serde(default)] attempt: u32, job: Job) -> Result<String, RpcError> => Run;
        }
    }

    pub struct Jobs;

    impl RpcEndpoint for Jobs {
        type Call = JobCall;

        fn handle(&mut self, _main: &mut MainThread<Self>, call: JobCall) {
            match call {
                JobCall::Run { attempt, job, reply } => {
                    reply.ok(format!("new {} attempt {attempt} labels {}", job.name, job.labels.len()));
                }
                JobCall::Stop { reply, .. } => reply.ok(()),
            }
        }
    }
}

fn of_version(role: Role, version: u16) -> RpcConfig {
    let mut config = config(role);
    config.introduction.version = version;
    config
}

async fn serve(version: u16) -> (RpcService, Address) {
    let service = RpcService::new(of_version(Role::Coordinator, version));
    let address = "127.0.0.1:0".parse().unwrap();
    let address = service.listen(ListenOn::Tcp { address, insecure: false }).await.unwrap();
    (service, address)
}

#[tokio::test]
async fn an_older_client_calls_a_newer_server() {
    use older::{Job, JobCall, JobGateway};
    let (service, address) = serve(8).await;
    service.start_server("jobs", newer::Jobs).unwrap();
    let client = RpcService::new(of_version(Role::Client, 7));
    let jobs = client.connect::<JobCall>(&address, "jobs").await.unwrap();
    assert_eq!(jobs.run(Job { name: "a".to_owned() }).await, Ok("new a attempt 0 labels 0".to_owned()));
}

#[tokio::test]
async fn a_newer_client_calls_an_older_server() {
    use newer::{Job, JobCall, JobGateway};
    let (service, address) = serve(7).await;
    service.start_server("jobs", older::Jobs).unwrap();
    let client = RpcService::new(of_version(Role::Client, 8));
    let jobs = client.connect::<JobCall>(&address, "jobs").await.unwrap();
    let job = Job { labels: vec!["gpu".to_owned()], name: "a".to_owned() };
    assert_eq!(jobs.stop("a".to_owned()).await, Err(RpcError::UnknownMethod { method: "stop".to_owned() }));
    // One method that is not known costs nothing but that call.
    assert_eq!(jobs.run(3, job).await, Ok("old a".to_owned()));
}

#[tokio::test]
async fn who_is_further_away_is_refused_and_both_versions_are_named() {
    let (service, address) = serve(7).await;
    service.start_server("jobs", older::Jobs).unwrap();
    for version in [5, 9, 700] {
        let client = RpcService::new(of_version(Role::Client, version));
        let refused = client.connect::<older::JobCall>(&address, "jobs").await.unwrap_err();
        assert!(matches!(refused, ConnectError::Version { ours, theirs: 7, .. } if ours == version), "{refused}");
        assert!(refused.to_string().contains(&format!("speaks version 7, this is version {version}")), "{refused}");
    }
}
