//! The gateway's processes, as the kernel sees them: what `tollgate status` shows and `tollgate doctor` judges.
//!
//! In: their numbers. Out: a row for each. `/proc/PID/status` may be read of anybody, also of who cannot be looked into. A process that is
//! gone has no row: the daemon is about to end.

use serde_json::{Value, json};

/// A row for each process.
pub(super) fn rows(processes: &[(&str, u32)]) -> Vec<Value> {
    let row = |(name, pid): &(&str, u32)| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        row(name, *pid, &text)
    };
    processes.iter().filter_map(row).collect()
}

fn row(name: &str, pid: u32, text: &str) -> Option<Value> {
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').split_whitespace().next()
    };
    Some(json!({
        "name": name,
        "pid": pid,
        "uid": field("Uid")?.parse::<u32>().ok()?,
        "capabilities": u64::from_str_radix(field("CapPrm")?, 16).ok()?,
        "seccomp": field("Seccomp")? == "2",
        "resident": field("VmRSS").and_then(|kib| kib.parse::<u64>().ok()).map(|kib| kib * 1024),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_what_the_kernel_says() {
        let text = "Name:\tx\nUid:\t61084\t61084\t61084\t61084\nVmRSS:\t  2048 kB\nCapInh:\t0000000000000000\nCapPrm:\t0000000000000004\nSeccomp:\t2\n";
        let told = row("tollgate-proxy", 7, text);
        let wanted = json!({
            "name": "tollgate-proxy", "pid": 7, "uid": 61084, "capabilities": 4, "seccomp": true, "resident": 2_097_152,
        });
        assert_eq!(told, Some(wanted));
        assert_eq!(row("x", 7, "Uid:\t0\n"), None);
        let own = rows(&[("own", std::process::id()), ("nobody", u32::MAX)]);
        assert_eq!(own.len(), 1);
    }
}
