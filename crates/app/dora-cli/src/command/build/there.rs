//! `dora build` with a coordinator: what nodes need is built on the machines where they would run.

use std::process::ExitCode;

use dora_descriptor::Loaded;
use dora_gateways::{BuildMode, BuildStep, DispatcherGateway as _, Submission, Trouble};
use dora_message::log::LogLevel;
use dora_rpc::{RpcError, RpcStream, Streamed};

use super::Arguments;
use crate::{artifacts, building, client::Client, command::start::origin, error, error::CommandError};

pub(super) fn execute(arguments: &Arguments, loaded: &Loaded) -> Result<ExitCode, CommandError> {
    let here_only = [
        ("--locked", arguments.locked),
        ("--write-lockfile", arguments.write_lockfile),
        ("--lockfile", arguments.lockfile.is_some()),
        ("--parallel", arguments.parallel),
    ];
    if let Some((flag, _)) = here_only.iter().find(|(_, given)| *given) {
        return Err(CommandError::usage(
            format!("`{flag}` is for builds on this machine, not for those of a coordinator"),
            "`--local` builds on this machine",
        ));
    }
    let client = Client::connect(&arguments.coordinator)?;
    let submission = Submission {
        descriptor: dora_descriptor::expanded_yaml(&loaded.dataflow),
        origin: origin(&arguments.path),
        uv: arguments.uv,
        artifacts: artifacts::needed(&client, &loaded.dataflow, &arguments.path)?,
        build: BuildMode::All,
        ..Submission::default()
    };
    let steps = client.run(client.patient().build(submission))?;
    match client.run(show(steps))? {
        End::Built => Ok(ExitCode::SUCCESS),
        End::Nothing => {
            error::tell_note(&format!("{}: there is nothing to build", arguments.path.display()));
            Ok(ExitCode::SUCCESS)
        }
        End::Failed(trouble) => Err(building::trouble(loaded, &trouble)),
    }
}

/// How a build ended.
#[derive(Debug, PartialEq)]
enum End {
    Built,
    /// Nothing was to be done.
    Nothing,
    Failed(Trouble),
}

/// Tells what happens, to the end of the build.
async fn show(mut steps: RpcStream<BuildStep>) -> Result<End, RpcError> {
    let mut end = End::Nothing;
    while let Some(step) = steps.next().await? {
        match step {
            Streamed::Item(BuildStep::Event(event)) => {
                end = End::Built;
                let (level, line) = building::words(event);
                super::tell(level, line);
            }
            Streamed::Item(BuildStep::Warning(text)) => super::tell(LogLevel::Warn, text),
            Streamed::Item(BuildStep::Done) => return Ok(end),
            Streamed::Item(BuildStep::Failed(trouble)) => return Ok(End::Failed(trouble)),
            Streamed::Dropped(count) => error::tell_note(&format!("{count} lines were left out here")),
        }
    }
    Err(RpcError::Disconnected { reason: "the events of the build ended before the build".to_owned() })
}

#[cfg(test)]
mod tests {
    use dora_gateways::NodeMistake;

    use super::*;

    #[tokio::test]
    async fn the_last_step_says_how_it_ended() {
        let failed = Trouble::Build(NodeMistake {
            node: "a".into(),
            key: None,
            message: "no compiler".to_owned(),
            hint: None,
            last_lines: vec![],
        });
        let ends = [
            (Some(BuildStep::Done), Ok(End::Nothing)),
            (Some(BuildStep::Failed(failed.clone())), Ok(End::Failed(failed))),
        ];
        for (step, expected) in ends {
            let (sender, steps) = dora_rpc::stream(2);
            step.into_iter().for_each(|step| sender.push(step).expect("a reader"));
            assert_eq!(show(steps).await, expected);
        }
        let (sender, steps) = dora_rpc::stream(2);
        drop(sender);
        assert!(matches!(show(steps).await, Err(RpcError::Disconnected { .. })));
    }
}
