//! What a host pays for processes that nobody governs: connect, fork, packet and cgroup, with the kernel part and without it, in rounds
//! that alternate. As root; `cargo xtask bench --untagged` starts it.
//!
//! In: the number of rounds. Out: medians. The kernel part is loaded and one cgroup is tagged, so that no hook stops at the flag that says
//! whether anything is; what is measured runs outside of it. Between the rounds everything is detached.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket},
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use gateway_user::kernel::{self, Kernel, Options, Scope};
use socket2::{Domain, Protocol, Socket, Type};
use tests::harness::cgroup_root;

/// What is measured: a name, how often in a round, and the act.
type Act = (&'static str, u32, fn(&Peers) -> Result<()>);

const ACTS: [Act; 5] = [
    ("connect, accept and close, TCP on loopback", 2000, connect),
    ("connect a UDP socket", 5000, udp_connect),
    (
        "send a datagram on loopback, and receive it",
        20_000,
        packet,
    ),
    ("fork, exec and exit (/bin/true)", 150, fork),
    ("make and remove a cgroup", 150, cgroup),
];

/// The listener of the tagged cgroup, in which nothing runs.
const NOBODYS: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(127, 84, 250, 250), 20_084);

/// Whom the acts reach.
struct Peers {
    listener: TcpListener,
    from: UdpSocket,
    to: UdpSocket,
    cgroups: PathBuf,
}

/// The kernel part while it stands; it is taken down on drop.
struct Governing {
    pins: PathBuf,
    tagged: PathBuf,
    kernel: Option<Kernel>,
}

fn main() -> Result<()> {
    let rounds: usize = match std::env::args().nth(1) {
        Some(rounds) => rounds.parse().context("a number of rounds")?,
        None => 15,
    };
    let peers = Peers::new()?;
    // [without, with] for each act, a mean for each round.
    let mut means = vec![[Vec::new(), Vec::new()]; ACTS.len()];
    for round in 0..=rounds {
        // The order alternates, too.
        let order = if round % 2 == 0 {
            [false, true]
        } else {
            [true, false]
        };
        for governed in order {
            let governing = governed.then(Governing::new).transpose()?;
            for (act, means) in ACTS.iter().zip(&mut means) {
                let mean = measure(act, &peers)?;
                // The first round warms up.
                if round > 0 {
                    means[usize::from(governed)].push(mean);
                }
            }
            drop(governing);
        }
    }
    println!(
        "{:45} {:>10} {:>10} {:>10}",
        "", "without us", "with us", "added us"
    );
    for ((name, ..), [without, with]) in ACTS.iter().zip(&mut means) {
        let mut added: Vec<f64> = with.iter().zip(&*without).map(|(a, b)| a - b).collect();
        println!(
            "{name:45} {:>10.2} {:>10.2} {:>10.2}",
            median(without),
            median(with),
            median(&mut added)
        );
    }
    Ok(())
}

impl Peers {
    fn new() -> Result<Self> {
        let to = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let from = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        to.set_read_timeout(Some(Duration::from_secs(2)))?;
        let cgroups = cgroup_root()?.join(format!("tollgate-bench-{}-free", std::process::id()));
        Ok(Self {
            listener: TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?,
            from,
            to,
            cgroups,
        })
    }
}

impl Governing {
    fn new() -> Result<Self> {
        let name = format!("tollgate-bench-{}", std::process::id());
        let governing = Self {
            pins: PathBuf::from("/sys/fs/bpf").join(&name),
            tagged: cgroup_root()?.join(name),
            kernel: None,
        };
        fs::create_dir_all(&governing.tagged)?;
        governing.open()
    }

    fn open(mut self) -> Result<Self> {
        let kernel = Kernel::open(Options::new(&self.pins))?;
        kernel.set_daemon(std::process::id())?;
        let opened = self.kernel.insert(kernel);
        opened.govern(&Scope {
            workload: 1,
            v4: NOBODYS,
            v6: None,
        })?;
        opened.tag(&self.tagged, 1)?;
        Ok(self)
    }
}

impl Drop for Governing {
    fn drop(&mut self) {
        self.kernel = None;
        if let Err(error) = kernel::down(&self.pins) {
            eprintln!("{error}");
        }
        drop(fs::remove_dir(&self.tagged));
    }
}

/// Microseconds for one act, the mean of a round.
fn measure((_, times, act): &Act, peers: &Peers) -> Result<f64> {
    let started = Instant::now();
    for _ in 0..*times {
        act(peers)?;
    }
    Ok(started.elapsed().as_secs_f64() * 1e6 / f64::from(*times))
}

fn connect(peers: &Peers) -> Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    // No port stays in TIME_WAIT.
    socket.set_linger(Some(Duration::ZERO))?;
    socket.connect(&peers.listener.local_addr()?.into())?;
    drop(peers.listener.accept()?);
    Ok(())
}

fn udp_connect(peers: &Peers) -> Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    Ok(socket.connect(&peers.to.local_addr()?.into())?)
}

fn packet(peers: &Peers) -> Result<()> {
    peers.from.send_to(b"packet", peers.to.local_addr()?)?;
    peers.to.recv(&mut [0; 16])?;
    Ok(())
}

fn fork(_: &Peers) -> Result<()> {
    ensure!(Command::new("/bin/true").status()?.success());
    Ok(())
}

fn cgroup(peers: &Peers) -> Result<()> {
    fs::create_dir(&peers.cgroups)?;
    Ok(fs::remove_dir(&peers.cgroups)?)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
