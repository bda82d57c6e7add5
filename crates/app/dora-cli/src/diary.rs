//! What a service writes about itself while it runs: to standard error, which `dora up` makes a file.

use std::io;

use tracing_subscriber::{filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// Begins to write. `RUST_LOG` says how much: `debug`, `warn,dora_rpc=trace`; without it warnings.
pub(crate) fn begin() {
    let wanted = std::env::var("RUST_LOG").ok().and_then(|text| text.parse::<Targets>().ok());
    let filter = wanted.unwrap_or_else(|| Targets::new().with_default(tracing_subscriber::filter::LevelFilter::WARN));
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(false);
    // Whoever embeds this program may write its own.
    let _ = tracing_subscriber::registry().with(lines).with(filter).try_init();
}
