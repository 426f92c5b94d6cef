//! Variables that lead to something a launch must not reach: agents, buses, container engines, displays.
//!
//! What they name is hidden; a variable that stayed would make programs try it, and complain.

use std::ffi::OsStr;

/// Whether a variable of the caller's is not for a launch.
pub(super) fn leads_out(name: &OsStr, value: &OsStr) -> bool {
    let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else {
        return false;
    };
    ALWAYS.contains(&name) || (LOCAL.contains(&name) && is_local(value))
}

/// A socket of this host rather than an address that policy decides about.
fn is_local(value: &str) -> bool {
    ["unix", "/", ":"]
        .iter()
        .any(|prefix| value.starts_with(prefix))
}

/// These name nothing else.
const ALWAYS: &[&str] = &[
    "SSH_AUTH_SOCK",
    "SSH_AGENT_PID",
    "GPG_AGENT_INFO",
    "DBUS_SESSION_BUS_ADDRESS",
    "DBUS_SYSTEM_BUS_ADDRESS",
    "DBUS_STARTER_ADDRESS",
    "DBUS_STARTER_BUS_TYPE",
    "AT_SPI_BUS_ADDRESS",
    "WAYLAND_DISPLAY",
    "WAYLAND_SOCKET",
    "TMUX",
    "TMUX_PANE",
    "STY",
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "JOURNAL_STREAM",
    "CONTAINERD_ADDRESS",
    "VSCODE_IPC_HOOK",
    "VSCODE_IPC_HOOK_CLI",
    "VSCODE_GIT_IPC_HANDLE",
    "TOLLGATE_SOCKET",
];

/// These can also name an address.
const LOCAL: &[&str] = &[
    "DOCKER_HOST",
    "CONTAINER_HOST",
    "BUILDKIT_HOST",
    "DISPLAY",
    "PULSE_SERVER",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_lead_out_and_addresses_are_for_policy() {
        let leads = |name: &str, value: &str| leads_out(OsStr::new(name), OsStr::new(value));
        assert!(leads("SSH_AUTH_SOCK", "/tmp/ssh-1/agent.1"));
        assert!(leads("DOCKER_HOST", "unix:///run/user/1000/docker.sock"));
        assert!(leads("DISPLAY", ":0"));
        assert!(!leads("DISPLAY", "localhost:10.0"));
        assert!(!leads("DOCKER_HOST", "tcp://127.0.0.1:2375"));
        assert!(!leads("PATH", "/usr/bin"));
    }
}
