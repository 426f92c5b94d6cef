//! How the daemon logs: to standard error, one line an event.
//!
//! In: `--log-format` and the filter in `TOLLGATE_LOG`. Out: a subscriber for the process. Lines of a connection carry its
//! `session` and `identity`, those of a request its `exchange`; all three are names that `tollgate replay` takes. Fails on a
//! filter that cannot be read, before anything is governed.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

use super::Failure;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// Starts logging, once.
pub(super) fn start(format: Format) -> Result<(), Failure> {
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter(std::env::var(FILTER).ok().as_deref())?)
        .with_writer(std::io::stderr)
        .with_target(false);
    match format {
        Format::Text => lines.with_ansi(std::io::stderr().is_terminal()).init(),
        Format::Json => lines.json().flatten_event(true).init(),
    }
    Ok(())
}

/// What makes a process of the gateway log as this one does.
pub(super) fn environment(format: Format) -> Vec<(&'static str, String)> {
    let word = format.to_possible_value();
    let word = word.map(|word| (FORMAT, word.get_name().to_owned()));
    let filter = std::env::var(FILTER).ok().map(|filter| (FILTER, filter));
    word.into_iter().chain(filter).collect()
}

/// The format of a process of the gateway.
pub(super) fn inherited() -> Format {
    let word = std::env::var(FORMAT).unwrap_or_default();
    Format::from_str(&word, false).unwrap_or(Format::Text)
}

fn filter(wanted: Option<&str>) -> Result<EnvFilter, Failure> {
    let text = wanted.filter(|text| !text.is_empty()).unwrap_or("info");
    EnvFilter::try_new(text).map_err(|error| Failure {
        code: 2,
        message: format!("TOLLGATE_LOG=\"{text}\" is no filter: {error} (try `info` or `gateway_user::policy=debug`)"),
    })
}

const FILTER: &str = "TOLLGATE_LOG";
const FORMAT: &str = "TOLLGATE_LOG_FORMAT";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_cannot_be_read_is_an_error_and_none_is_info() {
        assert!(filter(None).is_ok_and(|filter| filter.to_string() == "info"));
        assert!(filter(Some("")).is_ok_and(|filter| filter.to_string() == "info"));
        assert!(filter(Some("gateway_user=debug")).is_ok());
        let refused = filter(Some("info=loud")).err();
        assert!(
            refused.is_some_and(|failure| failure.code == 2 && failure.message.contains("loud"))
        );
    }
}
