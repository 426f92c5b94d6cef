//! `tollgate policy`: checks, tests, explains and reloads policies. Only the last two need a daemon.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};

use super::explain::{Explained, Record};
use super::{Common, Failure, out, policy};
use crate::config::{Config, LLM_GROUP};
use crate::control::{ClientError, Request, call};
use crate::policy::{Known, PolicyError, PolicySet, Query};
use crate::spend::Prices;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Load the policies and say what is in them
    #[command(after_help = "Example: tollgate policy check --policies ./proposed")]
    Check(Folder),
    /// Run the cases in the policies' `cases` folder
    #[command(after_help = "Example: tollgate policy test --config ./lab/tollgate.toml")]
    Test(Folder),
    /// What the policies say of a recorded exchange now
    #[command(after_help = "Example: sudo tollgate policy explain 01JD7K --policies ./proposed")]
    Explain(Explain),
    /// Have the daemon read its policies now, and say what is wrong with them
    #[command(after_help = "\
The daemon also notices by itself, within seconds, that the folder has changed.

Example: sudo tollgate policy reload")]
    Reload,
}

#[derive(Args)]
pub(super) struct Folder {
    /// Another folder than the configuration's
    #[arg(long, value_name = "DIR")]
    policies: Option<PathBuf>,
}

#[derive(Args)]
pub(super) struct Explain {
    /// An exchange id; its first characters do
    id: String,
    /// A proposed policy folder to compare with
    #[arg(long, value_name = "DIR")]
    policies: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(common: &Common, command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Check(flags) => {
            let config = common.load()?;
            // They are read at start like the policies, and stop it like them.
            Prices::load(config.prices.as_deref()).map_err(|error| Failure {
                code: 4,
                message: error.to_string(),
            })?;
            let known = known(&config);
            out::print(policy::check(
                &flags.policies.unwrap_or(config.paths.policies),
                &known,
            )?)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Test(flags) => {
            let config = common.load()?;
            let folder = flags.policies.as_ref().unwrap_or(&config.paths.policies);
            test(&config, folder)
        }
        Command::Explain(flags) => explain(common, &common.load()?, flags),
        Command::Reload => reload(common),
    }
}

/// What policies can name.
fn known(config: &Config) -> Known {
    let services = || config.catalog.services();
    let built_in = [LLM_GROUP, UNLISTED].map(str::to_owned);
    Known {
        identities: config.identities.iter().map(|of| of.id.clone()).collect(),
        groups: config
            .identities
            .iter()
            .flat_map(|of| of.groups.clone())
            .collect(),
        services: services().map(|of| of.name.clone()).collect(),
        service_groups: services()
            .flat_map(|of| of.groups.clone())
            .chain(built_in)
            .collect(),
    }
}

fn reload(common: &Common) -> Result<ExitCode, Failure> {
    let items = call(&common.socket()?, &Request::Reload)?;
    let loaded = items.into_iter().next().unwrap_or_default();
    out::line(format_args!(
        "{}: {} policies, version {}",
        if loaded["new"] == true {
            "reloaded"
        } else {
            "unchanged"
        },
        loaded["policies"],
        loaded["policy_version"].as_str().unwrap_or_default()
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn test(config: &Config, folder: &std::path::Path) -> Result<ExitCode, Failure> {
    let services = |name: &str| match config.catalog.named(name) {
        Some(service) => service.groups.clone(),
        None => vec![UNLISTED.to_owned()],
    };
    let identities = |id: &str| config.identity(id).map(|identity| identity.groups.clone());
    let tested = policy::test(folder, &services, &identities).map_err(|error| Failure {
        code: 4,
        message: error.to_string(),
    })?;
    out::print(tested.text)?;
    Ok(if tested.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn explain(common: &Common, config: &Config, flags: Explain) -> Result<ExitCode, Failure> {
    let items = call(&common.socket()?, &Request::Explain { id: flags.id })?;
    let recorded = items.into_iter().next().unwrap_or_default();
    let mut query: Query =
        serde_json::from_value(recorded["query"].clone()).map_err(|_| Failure {
            code: 9,
            message: "this exchange was never put to policy".to_owned(),
        })?;
    query.complete();
    let record: Record = serde_json::from_value(recorded).map_err(ClientError::Answer)?;
    let set = Arc::new(PolicySet::load(&config.paths.policies)?);
    let proposed = flags
        .policies
        .map(|folder| PolicySet::load(&folder).map(Arc::new))
        .transpose()?;
    let explained = Explained::new(record, query, &set, proposed.as_ref());
    if flags.json {
        let text = serde_json::to_string(&explained).map_err(|error| Failure {
            code: 1,
            message: error.to_string(),
        })?;
        out::line(text)?;
    } else {
        out::print(explained.text())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The group of destinations that no service lists.
const UNLISTED: &str = "unlisted";

impl From<PolicyError> for Failure {
    fn from(error: PolicyError) -> Self {
        Self {
            code: 4,
            message: error.to_string(),
        }
    }
}
