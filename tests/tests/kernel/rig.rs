//! One governed cgroup on the real kernel, and agents to act in it. Everything is undone on drop, also after a panic; what a
//! killed run has left is removed when the next one starts.

use std::{
    fs,
    net::{
        Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, TcpListener, TcpStream,
        UdpSocket,
    },
    path::{Path, PathBuf},
    sync::{
        Once,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

use aya::maps::{HashMap, Map, MapData, MapInfo};
pub use gateway_user::kernel::Limits;
use gateway_user::{
    kernel::{self, ClaimError, Flow, FlowTable, Kernel, Options, Question, Scope},
    sys::socket,
};

use crate::{
    agent::Agent,
    net::{accept, deadline},
};

/// Workload number of every rig.
pub const WORKLOAD: u32 = 7;

/// A kernel part of its own, a workload with its listeners, and a cgroup. This process is the daemon.
pub struct Rig {
    pub kernel: Option<Kernel>,
    pub cgroup: Cgroup,
    pub v4: TcpListener,
    pub v6: TcpListener,
    /// Where questions of datagrams arrive, beside the listeners.
    pub udp4: UdpSocket,
    pub udp6: UdpSocket,
    pub pins: PathBuf,
    scope: Scope,
}

impl Rig {
    /// Governs a new workload; nothing is tagged yet.
    pub fn new() -> Self {
        Self::with(Limits::default())
    }

    /// The same with other sizes.
    pub fn with(limits: Limits) -> Self {
        sweep();
        let serial = serial();
        let pins = PathBuf::from(format!("{BPFFS}/{}", name(serial)));
        let cgroup = Cgroup::new(&name(serial));
        let (v4, udp4) = bind(|port| SocketAddr::from((own_address(84), port)));
        let (v6, udp6) = bind(|port| SocketAddr::from((Ipv6Addr::LOCALHOST, port)));
        let scope = Scope {
            workload: WORKLOAD,
            v4: self::v4(&v4),
            v6: Some(self::v6(&v6)),
        };
        // Made before the kernel part, so that a failure in opening is cleaned up too.
        let mut rig = Self {
            kernel: None,
            cgroup,
            v4,
            v6,
            udp4,
            udp6,
            pins,
            scope,
        };
        rig.kernel = Some(rig.open(limits));
        rig
    }

    /// Governs a new workload and tags its cgroup.
    pub fn tagged() -> Self {
        let rig = Self::new();
        rig.tag();
        rig
    }

    /// Opens the kernel part on this rig's pins, as a daemon does when it starts.
    pub fn open(&self, limits: Limits) -> Kernel {
        self.open_as(limits, kernel::ABI)
    }

    /// The same as a build of another ABI does.
    pub fn open_as(&self, limits: Limits, abi: u32) -> Kernel {
        let options = Options::new(&self.pins);
        let kernel = Kernel::open(Options {
            limits,
            abi,
            ..options
        })
        .unwrap();
        kernel.set_daemon(std::process::id()).unwrap();
        kernel.govern(&self.scope).unwrap();
        kernel
    }

    pub fn kernel(&self) -> &Kernel {
        self.kernel.as_ref().unwrap()
    }

    pub fn scope(&self) -> Scope {
        self.scope.clone()
    }

    pub fn tag(&self) {
        self.kernel().tag(&self.cgroup.path, WORKLOAD).unwrap();
    }

    /// A new agent inside the cgroup.
    pub fn agent(&self) -> Agent {
        let agent = Agent::new();
        self.cgroup.add(agent.pid());
        agent
    }

    /// Accepts a redirected connection and claims it.
    pub fn accept(&self, listener: &TcpListener) -> (TcpStream, Result<Flow, ClaimError>) {
        let (stream, _) = accept(listener);
        let flow = self.claim(&stream);
        (stream, flow)
    }

    pub fn claim(&self, stream: &TcpStream) -> Result<Flow, ClaimError> {
        self.kernel().flows().claim(socket::cookie(stream).unwrap())
    }

    /// The next question, where it came from, and who asks.
    pub fn question(&self, socket: &UdpSocket) -> (String, SocketAddr, Result<Flow, ClaimError>) {
        socket.set_read_timeout(Some(deadline())).unwrap();
        let mut buffer = [0; 64];
        let (length, client) = socket.recv_from(&mut buffer).unwrap();
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        (text, client, self.asker(socket, client))
    }

    pub fn asker(&self, socket: &UdpSocket, client: SocketAddr) -> Result<Flow, ClaimError> {
        self.kernel().flows().asker(&Question {
            netns: socket::netns_cookie(socket).unwrap(),
            client,
            listener: socket.local_addr().unwrap(),
        })
    }

    pub fn counter(&self, name: &str) -> u64 {
        let counters = self.kernel().counters().unwrap();
        counters
            .into_iter()
            .find(|(counter, _)| *counter == name)
            .unwrap()
            .1
    }

    /// Closes the listeners, as a dead daemon does.
    pub fn abandon(&mut self) {
        self.v4 = TcpListener::bind("127.0.0.1:0").unwrap();
        self.v6 = TcpListener::bind("[::1]:0").unwrap();
        self.udp4 = UdpSocket::bind("127.0.0.1:0").unwrap();
        self.udp6 = UdpSocket::bind("[::1]:0").unwrap();
    }

    /// Listens again where the listeners were.
    pub fn revive(&mut self) {
        self.v4 = TcpListener::bind(self.scope.v4).unwrap();
        self.v6 = TcpListener::bind(self.scope.v6.unwrap()).unwrap();
        self.udp4 = UdpSocket::bind(self.scope.v4).unwrap();
        self.udp6 = UdpSocket::bind(self.scope.v6.unwrap()).unwrap();
    }

    pub fn down(&mut self) {
        self.kernel.take().unwrap().down().unwrap();
    }

    /// The thread groups that have a lineage.
    pub fn lineage(&self) -> Vec<u32> {
        let map = Map::HashMap(MapData::from_pin(self.pinned("maps/LINEAGE")).unwrap());
        let lineage: HashMap<_, u32, [u8; 16]> = map.try_into().unwrap();
        lineage.keys().map(Result::unwrap).collect()
    }

    /// The cgroups that have a tag, there or not.
    pub fn tagged_ids(&self) -> Vec<u64> {
        let map = Map::HashMap(MapData::from_pin(self.pinned("maps/CGROUPS")).unwrap());
        let cgroups: HashMap<_, u64, [u8; 8]> = map.try_into().unwrap();
        cgroups.keys().map(Result::unwrap).collect()
    }

    /// A pin, or a folder of pins.
    pub fn pinned(&self, name: &str) -> PathBuf {
        self.pins.join(format!("v{}", kernel::ABI)).join(name)
    }

    /// Ids of the maps that the programs of this rig use.
    pub fn maps(&self) -> Vec<u32> {
        self.maps_of(kernel::ABI)
    }

    /// The same, as a version has pinned them.
    pub fn maps_of(&self, abi: u32) -> Vec<u32> {
        let pins = fs::read_dir(self.pins.join(format!("v{abi}/maps"))).unwrap();
        pins.map(|pin| MapInfo::from_pin(pin.unwrap().path()).unwrap().id())
            .collect()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // Another version's goes with its own.
        if let Some(Err(error)) = self.kernel.take().map(|kernel| kernel.down()) {
            eprintln!("{}: {error}", self.pins.display());
        }
        if let Err(error) = kernel::down(&self.pins) {
            eprintln!("{}: {error}", self.pins.display());
        }
    }
}

/// A cgroup that takes its processes with it.
pub struct Cgroup {
    pub path: PathBuf,
}

impl Cgroup {
    pub fn new(name: &str) -> Self {
        let path = kernel::cgroup::mount().unwrap().join(name);
        fs::create_dir_all(&path).unwrap();
        Self { path }
    }

    /// A cgroup of its own, outside every rig.
    pub fn outside() -> Self {
        Self::new(&name(serial()))
    }

    pub fn child(&self, name: &str) -> Self {
        let path = self.path.join(name);
        fs::create_dir_all(&path).unwrap();
        Self { path }
    }

    pub fn add(&self, pid: u32) {
        fs::write(self.path.join("cgroup.procs"), pid.to_string()).unwrap();
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        remove_cgroup(&self.path);
    }
}

pub fn v4(listener: &TcpListener) -> SocketAddrV4 {
    match listener.local_addr().unwrap() {
        SocketAddr::V4(addr) => addr,
        SocketAddr::V6(addr) => panic!("{addr}"),
    }
}

pub fn v6(listener: &TcpListener) -> SocketAddrV6 {
    match listener.local_addr().unwrap() {
        SocketAddr::V6(addr) => addr,
        SocketAddr::V4(addr) => panic!("{addr}"),
    }
}

/// Binds a port outside the automatic range.
fn bind(addr: impl Fn(u16) -> SocketAddr) -> (TcpListener, UdpSocket) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    for _ in 0..PORTS.len() {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) + std::process::id() * 64;
        let port = PORTS.start + u16::try_from(step % u32::try_from(PORTS.len()).unwrap()).unwrap();
        let at = addr(port);
        if let (Ok(tcp), Ok(udp)) = (TcpListener::bind(at), UdpSocket::bind(at)) {
            return (tcp, udp);
        }
    }
    panic!("no free port");
}

/// An address that nobody else uses, also not in other runs at the same time.
pub fn own_address(second: u8) -> Ipv4Addr {
    let number = std::process::id().wrapping_mul(251).wrapping_add(serial());
    let [_, _, high, low] = number.to_be_bytes();
    Ipv4Addr::new(127, second, high, low)
}

fn serial() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn name(serial: u32) -> String {
    format!("{PREFIX}{}-{serial}", std::process::id())
}

/// Removes what runs that were killed have left.
fn sweep() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let stale = |folder: &Path| -> Vec<PathBuf> {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            entries
                .map(|entry| entry.path())
                .filter(|path| is_stale(path))
                .collect()
        };
        for pins in stale(Path::new(BPFFS)) {
            kernel::down(&pins).unwrap();
            // What an upgrade test had pinned under other versions.
            let _ = fs::remove_dir_all(&pins);
        }
        for cgroup in stale(&kernel::cgroup::mount().unwrap()) {
            remove_cgroup(&cgroup);
        }
    });
}

fn is_stale(path: &Path) -> bool {
    let Some(rest) = path
        .file_name()
        .and_then(|name| name.to_str())
        .and_then(|name| name.strip_prefix(PREFIX))
    else {
        return false;
    };
    let pid = rest.split('-').next().unwrap_or_default();
    !Path::new("/proc").join(pid).exists()
}

fn remove_cgroup(path: &Path) {
    let _ = fs::write(path.join("cgroup.kill"), "1");
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove_cgroup(&entry.path());
        }
    }
    // Busy until the last killed process is gone.
    let end = Instant::now() + deadline();
    while path.exists() && fs::remove_dir(path).is_err() && Instant::now() < end {
        std::thread::yield_now();
    }
}

const BPFFS: &str = "/sys/fs/bpf";
const PREFIX: &str = "tollgate-test-";
/// Below the automatic range of a default host.
const PORTS: std::ops::Range<u16> = 20_000..30_000;
