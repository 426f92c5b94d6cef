//! The gateway's processes: what each can do, what none of them gives away, and that all end with each.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use tests::{
    harness::{Daemon, Lab, WAIT, finish, free_address},
    upstream::{Options, Upstream},
};

use crate::world::IDENTITY;

/// A service whose credential is held.
const HELD: &str = "held.example.test";
const SECRET: &str = "sk-live-held-0123456789abcdef";
const KEEPER: &str = "tollgate-keeper";
const PROXY: &str = "tollgate-proxy";
/// What the daemon starts.
const PARTS: &[&str] = &[KEEPER, PROXY];

/// An upstream, and a daemon that holds its credential. Dropped in this order.
struct Holding {
    daemon: Daemon,
    upstream: Upstream,
    lab: Lab,
}

impl Holding {
    fn start() -> anyhow::Result<Self> {
        let address = free_address(443)?;
        let lab = Lab::enter("tollgate-processes-", &[(address.ip(), HELD)])?;
        let upstream = Upstream::start(&Options {
            tls: vec![address],
            names: vec![HELD.to_owned()],
            ..Options::default()
        })?;
        let ca = lab.write("upstream-ca.pem", upstream.authority.pem())?;
        let key = lab.write("held.key", SECRET)?;
        lab.write(
            "policies/all.cedar",
            "@id(\"all\") permit (principal, action, resource);",
        )?;
        lab.configure(&format!(
            "[[identity]]\nid = {IDENTITY:?}\n\n[[service]]\nname = \"held\"\nhosts = [{HELD:?}]\nca = {ca:?}\n\
             credential = {{ header = \"authorization\", prefix = \"Bearer \", file = {key:?} }}\n"
        ))?;
        Ok(Self {
            daemon: Daemon::start(&lab)?,
            upstream,
            lab,
        })
    }

    /// A request of a tagged process: curl's exit status.
    fn call(&self) -> anyhow::Result<Option<i32>> {
        let mut command = self.daemon.tagged(IDENTITY, "curl");
        command.args(["-sS", "-o", "/dev/null", &format!("https://{HELD}/")]);
        Ok(finish(&command, "", WAIT)?.status.code())
    }

    /// The process of this name that the daemon started.
    fn part(&self, name: &str) -> anyhow::Result<u32> {
        let parts = parts(self.daemon.pid())?;
        let found = parts.iter().find(|(_, own)| own == name);
        Ok(found
            .with_context(|| format!("no {name} among {parts:?}"))?
            .0)
    }
}

/// The children of a process, with their names.
fn parts(of: u32) -> anyhow::Result<Vec<(u32, String)>> {
    let listed = fs::read_to_string(format!("/proc/{of}/task/{of}/children"))?;
    let children = listed.split_whitespace().map(|pid| {
        let pid = pid.parse()?;
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline"))?;
        let name = line.split('\0').next().unwrap_or_default();
        Ok((pid, name.to_owned()))
    });
    children.collect()
}

/// A field of `/proc/PID/status`.
fn status(pid: u32, field: &str) -> anyhow::Result<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    Ok(line.context("no such field")?.trim().to_owned())
}

/// Whether any writable memory of a process holds these bytes.
fn remembers(pid: u32, wanted: &[u8]) -> anyhow::Result<bool> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let memory = File::open(format!("/proc/{pid}/mem"))?;
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let (range, access) = (fields.next().context("range")?, fields.next());
        if !access.is_some_and(|access| access.starts_with("rw")) {
            continue;
        }
        let (from, to) = range.split_once('-').context("a range")?;
        let (from, to) = (u64::from_str_radix(from, 16)?, u64::from_str_radix(to, 16)?);
        let mut bytes = vec![0; usize::try_from(to - from)?];
        // A mapping can go meanwhile.
        if memory.read_exact_at(&mut bytes, from).is_ok()
            && bytes.windows(wanted.len()).any(|window| window == wanted)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Waits until a process has ended.
fn ended(pid: u32) -> anyhow::Result<()> {
    let started = Instant::now();
    while fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
        if started.elapsed() > WAIT {
            bail!("process {pid} goes on");
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

#[test]
fn the_keeper_has_no_network_and_no_privilege_but_to_read() -> anyhow::Result<()> {
    let holding = Holding::start()?;
    let keeper = holding.part(KEEPER)?;
    // CAP_DAC_READ_SEARCH.
    for set in ["CapEff:", "CapPrm:"] {
        assert_eq!(status(keeper, set)?, "0000000000000004");
    }
    for (field, value) in [
        ("CapInh:", "0000000000000000"),
        ("NoNewPrivs:", "1"),
        ("Seccomp:", "2"),
    ] {
        assert_eq!(status(keeper, field)?, value, "{field}");
    }
    let network = |pid| fs::read_link(format!("/proc/{pid}/ns/net"));
    assert_ne!(network(keeper)?, network(holding.daemon.pid())?);
    // Its sockets are nobody's but the daemon's: they have no name, and nothing listens.
    for kind in ["tcp", "tcp6", "udp", "udp6", "raw", "packet"] {
        let table = fs::read_to_string(format!("/proc/{keeper}/net/{kind}"))?;
        assert_eq!(table.lines().count(), 1, "{kind}: {table}");
    }
    for descriptor in fs::read_dir(format!("/proc/{keeper}/fd"))? {
        let target = fs::read_link(descriptor?.path())?;
        let target = target.to_string_lossy();
        assert!(
            target.starts_with("socket:")
                || target.starts_with("/dev/null")
                || target.ends_with("daemon.log"),
            "the keeper has {target} open"
        );
    }
    Ok(())
}

#[test]
fn a_credential_leaves_the_keeper_when_it_is_used_and_a_ca_key_never() -> anyhow::Result<()> {
    let holding = Holding::start()?;
    let others = [holding.daemon.pid(), holding.part(PROXY)?];
    let keeper = holding.part(KEEPER)?;
    assert!(remembers(keeper, SECRET.as_bytes())?, "the control run");
    for other in others {
        assert!(!remembers(other, SECRET.as_bytes())?);
    }
    assert_eq!(holding.call()?, Some(0));
    assert!(
        !remembers(others[0], SECRET.as_bytes())?,
        "the guard uses none"
    );
    assert_eq!(holding.upstream.take().len(), 1);
    let mut keys = 0;
    for file in fs::read_dir(holding.lab.path("state/ca"))? {
        let pem = fs::read_to_string(file?.path())?;
        let key = der(&pem)?;
        for other in others {
            assert!(!remembers(other, &key)?);
        }
        assert!(remembers(keeper, &key)?, "the control run");
        keys += 1;
    }
    assert_eq!(keys, 1);
    Ok(())
}

#[test]
fn when_a_process_is_killed_all_end_and_connects_are_refused() -> anyhow::Result<()> {
    let mut holding = Holding::start()?;
    for name in PARTS {
        let (daemon, part) = (holding.daemon.pid(), holding.part(name)?);
        assert_eq!(holding.call()?, Some(0), "the control run");
        holding.daemon.note_launches()?;
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(part.try_into()?),
            nix::sys::signal::Signal::SIGKILL,
        )?;
        ended(daemon)?;
        assert!(
            holding.daemon.log().contains(&format!("{name} has ended")),
            "{}",
            holding.daemon.log()
        );
        holding.daemon = Daemon::start(&holding.lab)?;
        assert_eq!(holding.call()?, Some(0));
    }
    // The one that started the others.
    let parts = parts(holding.daemon.pid())?;
    assert_eq!(parts.len(), PARTS.len(), "{parts:?}");
    holding.daemon.crash()?;
    parts.iter().try_for_each(|(part, _)| ended(*part))
}

#[test]
fn the_proxy_is_nobody_and_sees_nothing_of_the_others() -> anyhow::Result<()> {
    let holding = Holding::start()?;
    assert_eq!(holding.call()?, Some(0));
    let proxy = holding.part(PROXY)?;
    for set in ["CapEff:", "CapPrm:", "CapInh:", "CapBnd:", "CapAmb:"] {
        assert_eq!(status(proxy, set)?, "0000000000000000", "{set}");
    }
    for (field, value) in [("NoNewPrivs:", "1"), ("Seccomp:", "2"), ("Groups:", "")] {
        assert_eq!(status(proxy, field)?, value, "{field}");
    }
    let users = status(proxy, "Uid:")?;
    assert!(users.split_whitespace().all(|user| user != "0"), "{users}");
    // What lies in the state folder, as it sees it: the ledger, not the keys, nor which workloads there are.
    let state = holding.lab.path("state");
    let seen =
        std::path::PathBuf::from(format!("/proc/{proxy}/root")).join(state.strip_prefix("/")?);
    let names = |folder: &std::path::Path| -> anyhow::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        Ok(names)
    };
    assert_eq!(names(&seen)?, ["ledger"]);
    assert!(names(&state)?.contains(&"ca".to_owned()), "the control run");
    assert!(names(&seen.join("ledger"))?.contains(&"ledger.db".to_owned()));
    Ok(())
}

#[test]
fn a_ledger_that_lies_where_earlier_versions_had_it_is_taken_along() -> anyhow::Result<()> {
    let mut holding = Holding::start()?;
    assert_eq!(holding.call()?, Some(0));
    let before = holding.daemon.ended_after(0, 1)?;
    holding.daemon.crash()?;
    // With what a killed daemon leaves beside it.
    let (state, folder) = (holding.lab.path("state"), holding.lab.path("state/ledger"));
    let mut moved = 0;
    for file in fs::read_dir(&folder)? {
        let file = file?;
        let earlier = state.join(file.file_name());
        fs::rename(file.path(), &earlier)?;
        std::os::unix::fs::chown(&earlier, Some(0), Some(0))?;
        moved += 1;
    }
    fs::remove_dir(&folder)?;
    assert!(moved > 1, "there is no log beside the ledger");
    holding.daemon = Daemon::start(&holding.lab)?;
    assert_eq!(holding.daemon.exchanges()?.len(), 1);
    assert_eq!(holding.daemon.exchanges()?[0]["id"], before[0]["id"]);
    assert_eq!(holding.call()?, Some(0));
    assert_eq!(holding.daemon.ended_after(1, 1)?.len(), 1);
    assert!(!state.join("ledger.db").exists());

    // An earlier version that was started again leaves a new one there, which does not take the place of this.
    fs::write(state.join("ledger.db"), "another ledger")?;
    holding.daemon.crash()?;
    holding.daemon = Daemon::start(&holding.lab)?;
    assert_eq!(holding.daemon.exchanges()?.len(), 2);
    assert_eq!(
        fs::read_to_string(state.join("ledger.db"))?,
        "another ledger"
    );
    Ok(())
}

/// Prints what of each process it can open, take (pidfd_getfd) or trace.
const PRYING: &str = "
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
for pid in map(int, sys.argv[1:]):
    for name in ('mem', 'environ'):
        try:
            with open(f'/proc/{pid}/{name}', 'rb') as file: file.read(0 if name == 'mem' else 1)
            print('open', name)
        except OSError: pass
    try:
        os.readlink(f'/proc/{pid}/fd/0')
        print('read fd')
    except OSError: pass
    process = libc.syscall(434, pid, 0)
    if process >= 0 and libc.syscall(438, process, 0, 0) >= 0: print('got fd')
    if libc.ptrace(0x4206, pid, 0, 0) == 0:
        print('traced')
        libc.ptrace(17, pid, 0, 0)
print('done')
";

#[test]
fn an_agent_looks_into_no_process_of_the_gateway() -> anyhow::Result<()> {
    let holding = Holding::start()?;
    let pids = [
        holding.daemon.pid(),
        holding.part(KEEPER)?,
        holding.part(PROXY)?,
    ];
    let pids = pids.map(|pid| pid.to_string());
    let pry = |mut command: std::process::Command| {
        command.args(["-c", PRYING]).args(&pids);
        finish(&command, "", WAIT)?.success()
    };
    // Also as root, without capabilities: the identity runs as whoever called.
    let told = pry(holding.daemon.tagged(IDENTITY, "python3"))?;
    assert_eq!(told, "done\n");
    let control = pry(std::process::Command::new("python3"))?;
    assert_eq!(control.matches("read fd").count(), pids.len(), "{control}");
    for way in ["open mem", "open environ", "got fd", "traced"] {
        assert_eq!(control.matches(way).count(), pids.len(), "{control}");
    }
    Ok(())
}

/// The private key of a PEM file, as its owner has it in memory: the number that the key is, not its wrapping.
fn der(pem: &str) -> anyhow::Result<Vec<u8>> {
    use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
    let key = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes())?;
    // PKCS #8 of P-256: 36 bytes of wrapping before the 32 of the scalar.
    Ok(key
        .secret_pkcs8_der()
        .get(36..68)
        .context("a short key")?
        .to_vec())
}
