//! `dora context`: the coordinators that this user knows by name.

use std::process::ExitCode;

use dora_rpc::Fingerprint;
use serde::Serialize;

use super::{ListFormat, print, print_json, print_rows};
use crate::{
    client::{
        DEFAULT_PORT, HostPort,
        contexts::{Context, Contexts, LOCAL, Trust},
    },
    error::CommandError,
    home::Home,
    table::Align,
};

const EXAMPLES: &str = "\
Examples:
  dora context add robot --coordinator-addr 192.168.1.100 --fingerprint sha256:... --token ...
  dora context use robot                        from now on commands mean this coordinator
  dora status --context robot                   only this command does
  dora status --coordinator-addr 192.168.1.100  the same, by its address
  dora context use local                        back to this host
  dora context remove robot

`dora up --interface IP` prints the `add` line for the coordinator that it starts. What is known is
kept in DORA_HOME/contexts.json, which only its user may read. An address on the command line or in
DORA_COORDINATOR_ADDR wins over the context in use.";

/// Coordinators on other hosts, under names.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum Command {
    Add(Add),
    List(List),
    /// Use one of them in all commands, from now on.
    #[command(after_help = "Examples:\n  dora context use robot\n  dora context use local")]
    Use(Named),
    /// Forget one of them.
    #[command(after_help = "Example:\n  dora context remove robot")]
    Remove(Named),
    Show(Show),
}

/// Make a coordinator known, or known anew.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Example:\n  dora context add robot --coordinator-addr 192.168.1.100 --fingerprint sha256:... --token ..."
)]
struct Add {
    /// What it is called from now on.
    #[arg(value_parser = parse_name)]
    name: String,
    /// Where it is: an address or a host name, with or without `:PORT`.
    #[arg(long, value_name = "HOST[:PORT]")]
    coordinator_addr: HostPort,
    /// Its port [default: 6013].
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    coordinator_port: Option<u16>,
    /// By which its certificate is known again.
    #[arg(long, value_name = "SHA256", requires = "token", required_unless_present = "insecure")]
    fingerprint: Option<Fingerprint>,
    /// The secret that opens it.
    #[arg(long, requires = "fingerprint")]
    token: Option<String>,
    /// It was started without encryption and token.
    #[arg(long, conflicts_with_all = ["fingerprint", "token"])]
    insecure: bool,
    /// Use it from now on.
    #[arg(long = "use")]
    make_current: bool,
}

/// Show all of them.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example:\n  dora context list --format json")]
struct List {
    /// How the list is written.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    format: ListFormat,
}

/// One of them.
#[derive(Debug, Clone, clap::Args)]
struct Named {
    /// Its name; `local` is this host.
    name: String,
}

/// Show one of them, without its token: the one in use if none is named.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example:\n  dora context show robot")]
struct Show {
    /// Its name; `local` is this host.
    name: Option<String>,
}

/// A context as programs read it.
#[derive(Debug, Serialize)]
struct Row<'a> {
    name: &'a str,
    current: bool,
    address: String,
    /// How it is reached: `socket`, `tls` or `insecure`.
    trust: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<Fingerprint>,
}

pub(crate) fn execute(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let home = Home::find()?;
    let contexts = Contexts::load(&home)?;
    match &arguments.command {
        Command::Add(add) => add.execute(&home, contexts)?,
        Command::List(list) => show_all(&contexts, list.format)?,
        Command::Use(named) => make_current(&home, contexts, &named.name)?,
        Command::Remove(named) => remove(&home, contexts, &named.name)?,
        Command::Show(show) => {
            let current = contexts.current.as_deref().unwrap_or(LOCAL);
            print_json(&row(&contexts, show.name.as_deref().unwrap_or(current))?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Add {
    fn execute(&self, home: &Home, mut contexts: Contexts) -> Result<(), CommandError> {
        let trust = match (self.fingerprint, &self.token) {
            (Some(fingerprint), Some(token)) => Trust::Tls { fingerprint, token: token.clone().into() },
            _ => Trust::Insecure,
        };
        let HostPort { host, port } = self.coordinator_addr.clone();
        if let (Some(one), Some(other)) = (port, self.coordinator_port)
            && one != other
        {
            let what = format!("--coordinator-addr names port {one}, --coordinator-port {other}");
            return Err(CommandError::usage(what, "name it once"));
        }
        let port = Some(port.or(self.coordinator_port).unwrap_or(DEFAULT_PORT));
        let context = Context { address: HostPort { host, port }, trust };
        let place = context.address.clone();
        let done = if contexts.contexts.insert(self.name.clone(), context).is_some() { "replaced" } else { "added" };
        let mut text = format!("context `{}` {done}: the coordinator at {place}\n", self.name);
        if self.make_current {
            contexts.current = Some(self.name.clone());
            text += "it is in use from now on\n";
        }
        contexts.save(home)?;
        print(&text)
    }
}

fn make_current(home: &Home, mut contexts: Contexts, name: &str) -> Result<(), CommandError> {
    let place = row(&contexts, name)?.address;
    contexts.current = (name != LOCAL).then(|| name.to_owned());
    contexts.save(home)?;
    print(&format!("commands mean the coordinator at {place} from now on\n"))
}

fn remove(home: &Home, mut contexts: Contexts, name: &str) -> Result<(), CommandError> {
    if name == LOCAL {
        return Err(CommandError::failed(format!("`{LOCAL}` is this host and cannot be removed")));
    }
    contexts.get(name)?;
    contexts.contexts.remove(name);
    let was_current = contexts.current.take_if(|current| current == name).is_some();
    contexts.save(home)?;
    let then = if was_current { "; commands mean this host again" } else { "" };
    print(&format!("context `{name}` removed{then}\n"))
}

fn show_all(contexts: &Contexts, format: ListFormat) -> Result<(), CommandError> {
    let names = std::iter::once(LOCAL).chain(contexts.contexts.keys().map(String::as_str));
    let rows = names.map(|name| row(contexts, name)).collect::<Result<Vec<_>, _>>()?;
    let head = [("", Align::Left), ("Name", Align::Left), ("Address", Align::Left), ("Trust", Align::Left)];
    let cells = |row: &Row| {
        let mark = if row.current { "*" } else { "" };
        [mark, row.name, &row.address, row.trust].map(str::to_owned).to_vec()
    };
    print_rows(format, &head, &rows, |row| row, cells)
}

fn row<'a>(contexts: &'a Contexts, name: &'a str) -> Result<Row<'a>, CommandError> {
    let current = contexts.current.as_deref().unwrap_or(LOCAL) == name;
    let row = Row { name, current, address: format!("127.0.0.1:{DEFAULT_PORT}"), trust: "socket", fingerprint: None };
    if name == LOCAL {
        return Ok(row);
    }
    let context = contexts.get(name)?;
    let (trust, fingerprint) = match &context.trust {
        Trust::Tls { fingerprint, .. } => ("tls", Some(*fingerprint)),
        Trust::Insecure => ("insecure", None),
    };
    Ok(Row { address: context.address.to_string(), trust, fingerprint, ..row })
}

/// Reads a name that is no option, and not that of this host.
fn parse_name(text: &str) -> Result<String, String> {
    let is_plain = |char: char| char.is_alphanumeric() || matches!(char, '.' | '-' | '_');
    match text {
        LOCAL => Err(format!("`{LOCAL}` means this host")),
        text if text.starts_with(char::is_alphanumeric) && text.chars().all(is_plain) => Ok(text.to_owned()),
        _ => Err("expected letters, digits, `.`, `-` and `_`, for example `robot-1`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_not_that_of_this_host() {
        assert_eq!(parse_name("robot-1").as_deref(), Ok("robot-1"));
        assert!(["local", "", "-a", "a b"].iter().all(|bad| parse_name(bad).is_err()));
    }

    #[test]
    fn this_host_is_used_when_nothing_else_is() {
        let contexts = Contexts::default();
        let local = row(&contexts, LOCAL).expect("always there");
        assert_eq!((local.current, local.trust), (true, "socket"));
        assert!(row(&contexts, "robot").is_err());
    }
}
