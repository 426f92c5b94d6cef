//! `tollgate oci-hook`: called by a container runtime while it makes a container; and the CDI specification that names it.
//!
//! In: the state of the container on standard input (OCI runtime specification, `createRuntime`): its process is in its namespaces, its mounts are
//! made, and its root has not changed yet. Out: the CA in its root, if a workload governs its cgroup; else nothing. It fails, and with it the
//! container, only where a governed container could not be given the CA.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::{Common, Failure, out};
use super::{BUNDLE, ca, failure};
use crate::config::DEFAULT_PATH;
use crate::control::{Request, call};
use crate::trust::adopt::{self, Target};
use crate::trust::variables_naming;

/// What a runtime tells of a container.
#[derive(Deserialize)]
struct State {
    id: String,
    pid: u32,
    bundle: PathBuf,
}

pub(crate) fn hook(common: &Common) -> Result<ExitCode, Failure> {
    let bad = |error: String| {
        failure(
            2,
            format!("no state of a container on standard input: {error}"),
        )
    };
    let mut text = String::new();
    let read = std::io::stdin().take(LARGEST).read_to_string(&mut text);
    read.map_err(|error| bad(error.to_string()))?;
    let state: State = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
    let status = match call(&common.socket()?, &Request::Status) {
        Ok(mut items) => items.pop().unwrap_or_default(),
        // Without a daemon a governed container reaches nothing anyway, and others are none of our business.
        Err(error) => {
            out::complain(format_args!(
                "container {} begins without the CA: {error}",
                state.id
            ));
            return Ok(ExitCode::SUCCESS);
        }
    };
    let cgroup = cgroup(state.pid).map_err(&bad)?;
    let Some(workload) = governing(&status, &cgroup) else {
        return Ok(ExitCode::SUCCESS);
    };
    let (path, pem) =
        ca(workload).ok_or_else(|| failure(1, "the CA of the workload is not published"))?;
    let run = path
        .ancestors()
        .nth(2)
        .unwrap_or(Path::new("/run/tollgate"));
    let source = workload["mounts"].as_str().unwrap_or_default();
    let target = Target {
        pid: state.pid,
        root: &root(&state.bundle).map_err(&bad)?,
    };
    let adopted = adopt::adopt(target, &pem, run, source);
    let adopted =
        adopted.map_err(|error| failure(1, format!("container {}: {error}", state.id)))?;
    for (path, error) in adopted.left {
        out::complain(format_args!(
            "{} stays without the CA: {error}",
            path.display()
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the container's files are, as the runtime sees them.
fn root(bundle: &Path) -> Result<PathBuf, String> {
    let path = bundle.join("config.json");
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let config: Value =
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    let root = config["root"]["path"].as_str().unwrap_or("rootfs");
    fs::canonicalize(bundle.join(root)).map_err(|error| format!("{root}: {error}"))
}

/// The cgroup of a process in the hierarchy of version 2.
fn cgroup(pid: u32) -> Result<String, String> {
    let table =
        fs::read_to_string(format!("/proc/{pid}/cgroup")).map_err(|error| error.to_string())?;
    let own = table.lines().find_map(|line| line.strip_prefix("0::"));
    own.map(str::to_owned)
        .ok_or_else(|| "its process is in no cgroup of version 2".to_owned())
}

/// The workload whose tag is nearest above a cgroup.
fn governing<'a>(status: &'a Value, cgroup: &str) -> Option<&'a Value> {
    let workloads = status["workloads"].as_array().into_iter().flatten();
    let tagged = workloads.flat_map(|workload| {
        let tags = workload["tags"].as_array().into_iter().flatten();
        tags.filter_map(move |tag| Some((tag["path"].as_str()?, workload)))
    });
    let above = tagged.filter(|(path, _)| Path::new(cgroup).starts_with(path));
    above
        .max_by_key(|(path, _)| path.len())
        .map(|(_, workload)| workload)
}

/// Prints the specification.
pub(super) fn cdi(common: &Common) -> Result<ExitCode, Failure> {
    let failed = |error: std::io::Error| failure(1, error.to_string());
    let program = std::env::current_exe().map_err(failed)?;
    let arguments = arguments(common).map_err(failed)?;
    let variables: Vec<String> = variables_naming(BUNDLE).collect();
    let names = variables.iter().filter_map(|pair| pair.split('=').next());
    let names: Vec<&str> = names.collect();
    out::complain(format_args!(
        "the device `all` sets {} over what an image sets; `files` sets no variable",
        names.join(", ")
    ));
    let specification = specification(&program, &arguments, &variables);
    out::line(format_args!("{specification:#}"))?;
    Ok(ExitCode::SUCCESS)
}

/// What the hook is called with: it finds the daemon as this command does, wherever it runs.
fn arguments(common: &Common) -> std::io::Result<Vec<String>> {
    let mut arguments = vec!["tollgate".to_owned()];
    let config = Some(&common.config).filter(|config| *config != Path::new(DEFAULT_PATH));
    for (option, path) in [("--config", config), ("--socket", common.socket.as_ref())] {
        if let Some(path) = path {
            let path = std::path::absolute(path)?.display().to_string();
            arguments.extend([option.to_owned(), path]);
        }
    }
    arguments.push("oci-hook".to_owned());
    Ok(arguments)
}

/// Both devices have the hook. A runtime sets a device's variables over those of the image, whose values are lost then.
fn specification(program: &Path, arguments: &[String], variables: &[String]) -> Value {
    let hooks = json!([{"hookName": "createRuntime", "path": program, "args": arguments}]);
    json!({
        "cdiVersion": "0.6.0",
        "kind": "tollgate.dev/trust",
        "devices": [
            {"name": "all", "containerEdits": {"env": variables, "hooks": hooks}},
            {"name": "files", "containerEdits": {"hooks": hooks}},
        ],
    })
}

/// A state is a few hundred bytes, and annotations.
const LARGEST: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_tag_above_governs() {
        let status = json!({"workloads": [
            {"name": "outer", "tags": [{"path": "/machine"}]},
            {"name": "inner", "tags": [{"path": "/machine/agents"}]},
        ]});
        let name = |cgroup| governing(&status, cgroup).map(|found| found["name"].clone());
        assert_eq!(name("/machine/agents/1"), Some("inner".into()));
        assert_eq!(name("/machine/other"), Some("outer".into()));
        assert_eq!(name("/machines"), None);
    }

    #[test]
    fn the_specification_names_the_hook_and_touches_no_options() {
        let variables: Vec<String> = variables_naming(BUNDLE).collect();
        let arguments = ["tollgate".to_owned(), "oci-hook".to_owned()];
        let specification = specification(Path::new("/usr/bin/tollgate"), &arguments, &variables);
        let text = specification.to_string();
        assert!(text.contains("createRuntime") && text.contains("/usr/bin/tollgate"));
        assert!(!text.contains("NODE_OPTIONS"));
        let files = &specification["devices"][1];
        assert_eq!(files["name"], "files");
        assert!(files["containerEdits"]["env"].is_null());
        let all = &specification["devices"][0]["containerEdits"];
        assert_eq!(files["containerEdits"]["hooks"], all["hooks"]);
    }

    #[test]
    fn the_hook_finds_the_daemon_as_the_command_does() {
        let arguments = |config: &str, socket: Option<&str>| {
            let common = Common {
                config: config.into(),
                socket: socket.map(PathBuf::from),
            };
            arguments(&common).map(|arguments| arguments.join(" ")).ok()
        };
        assert_eq!(
            arguments(DEFAULT_PATH, None).as_deref(),
            Some("tollgate oci-hook")
        );
        assert_eq!(
            arguments("/lab/tollgate.toml", Some("/lab/sock")).as_deref(),
            Some("tollgate --config /lab/tollgate.toml --socket /lab/sock oci-hook")
        );
        let relative = arguments("tollgate.toml", None);
        assert!(relative.is_some_and(|text| text.starts_with("tollgate --config /")));
    }
}
