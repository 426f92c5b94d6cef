//! The servers that agents reach or must not reach: on loopback, and behind a veth pair in a network namespace of their own.
//!
//! At each of both: an address whose HTTP server policy permits, which notes every path it is asked for; an echo server for agents that are not
//! governed; and an address that no governed agent may send a packet to, where both kinds of sockets would answer.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    path::PathBuf,
    process::Command,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use nix::{sched, unistd};

use crate::wire::Wire;

/// One side: loopback, or the namespace behind the veth pair.
pub(crate) struct Side {
    pub(crate) name: &'static str,
    /// Asked by the gateway alone, for what policy permits.
    pub(crate) permitted: SocketAddr,
    /// For agents that are not governed.
    pub(crate) open: Vec<SocketAddr>,
    /// For nobody who is governed.
    pub(crate) forbidden: Vec<SocketAddr>,
    pub(crate) wire: Wire,
}

pub(crate) struct Servers {
    pub(crate) sides: Vec<Side>,
    /// Every path that the permitted servers were asked for.
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
    _link: Link,
}

/// The host's end of the veth pair; the other goes with it.
struct Link(String);

impl Drop for Link {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["link", "del", &self.0]).output();
    }
}

impl Servers {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let pid = std::process::id();
        let [.., third, fourth] = pid.to_be_bytes();
        let loopback = |last| IpAddr::V4(Ipv4Addr::new(127, 66 + (third & 63), fourth, last));
        let here = Addresses {
            permitted: loopback(1),
            open: vec![loopback(2), Ipv6Addr::LOCALHOST.into()],
            forbidden: vec![loopback(3)],
        };
        let there = Addresses::behind(fourth);
        let own = side("loopback", &here, &asked)?;
        let link = Link(format!("tgsoak{pid}"));
        sweep()?;
        let other = apart(&link, there, &asked)?;
        Ok(Self {
            sides: vec![own, other],
            asked,
            _link: link,
        })
    }
}

#[derive(Clone)]
struct Addresses {
    permitted: IpAddr,
    open: Vec<IpAddr>,
    forbidden: Vec<IpAddr>,
}

impl Addresses {
    fn behind(number: u8) -> Self {
        let v4 = |last| IpAddr::V4(Ipv4Addr::new(10, 231, number, last));
        let v6 = |last| IpAddr::V6(Ipv6Addr::new(0xfd23, 1, number.into(), 0, 0, 0, 0, last));
        Self {
            permitted: v4(1),
            open: vec![v4(2), v6(2)],
            forbidden: vec![v4(3), v6(3)],
        }
    }
}

/// Pairs that killed runs have left.
fn sweep() -> anyhow::Result<()> {
    for entry in fs::read_dir("/sys/class/net")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some(pid) = name.strip_prefix("tgsoak")
            && !PathBuf::from("/proc").join(pid).exists()
        {
            drop(Link(name));
        }
    }
    Ok(())
}

/// A thread moves to a network namespace of its own and opens the sockets there; the namespace lasts as long as they do.
fn apart(
    link: &Link,
    addresses: Addresses,
    asked: &Arc<Mutex<Vec<String>>>,
) -> anyhow::Result<Side> {
    let (moved, arrived) = mpsc::channel();
    let (linked, go) = mpsc::channel::<()>();
    let (asked, inside) = (Arc::clone(asked), addresses.clone());
    let opened = thread::spawn(move || -> anyhow::Result<Side> {
        sched::unshare(sched::CloneFlags::CLONE_NEWNET).context("no network namespace")?;
        moved.send(unistd::gettid().as_raw())?;
        go.recv()?;
        ip(&["link", "set", "lo", "up"])?;
        ip(&["link", "set", PEER, "up"])?;
        for address in [
            [inside.permitted].as_slice(),
            &inside.open,
            &inside.forbidden,
        ]
        .concat()
        {
            add(address, PEER, 0)?;
        }
        side("veth", &inside, &asked)
    });
    let thread: i32 = arrived.recv().context("no network namespace")?;
    let thread = thread.to_string();
    ip(&[
        "link", "add", &link.0, "type", "veth", "peer", "name", PEER, "netns", &thread,
    ])?;
    ip(&["link", "set", &link.0, "up"])?;
    // The host's own addresses in the same networks.
    for address in [addresses.open[0], addresses.open[1]] {
        add(address, &link.0, 100)?;
    }
    linked.send(())?;
    opened.join().ok().context("the thread ended")?
}

fn add(address: IpAddr, device: &str, offset: u8) -> anyhow::Result<()> {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            ip(&[
                "addr",
                "add",
                &format!("{a}.{b}.{c}.{}/24", d + offset),
                "dev",
                device,
            ])
        }
        IpAddr::V6(v6) => {
            let mut parts = v6.segments();
            parts[7] += u16::from(offset);
            let text = format!("{}/64", Ipv6Addr::from(parts));
            ip(&["-6", "addr", "add", &text, "dev", device, "nodad"])
        }
    }
}

fn ip(arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("ip").args(arguments).output()?;
    ensure!(
        output.status.success(),
        "ip {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// Opens everything of one side in the calling thread's network namespace.
fn side(
    name: &'static str,
    addresses: &Addresses,
    asked: &Arc<Mutex<Vec<String>>>,
) -> anyhow::Result<Side> {
    let permitted = bound(addresses.permitted)?;
    let permitted_at = permitted.local_addr()?;
    let asked = Arc::clone(asked);
    serve(permitted, move |stream| http(stream, &asked));
    let mut sockets = [Vec::new(), Vec::new()];
    for (kind, list) in [&addresses.open, &addresses.forbidden]
        .into_iter()
        .enumerate()
    {
        for address in list {
            let tcp = bound(*address)?;
            let at = tcp.local_addr()?;
            let udp = UdpSocket::bind(at)?;
            serve(tcp, echo);
            thread::spawn(move || {
                let mut buffer = [0; 2048];
                loop {
                    if let Ok((length, from)) = udp.recv_from(&mut buffer) {
                        let _ = udp.send_to(&buffer[..length], from);
                    }
                }
            });
            sockets[kind].push(at);
        }
    }
    let [open, forbidden] = sockets;
    Ok(Side {
        name,
        permitted: permitted_at,
        open,
        forbidden,
        wire: Wire::new(addresses.forbidden.clone())?,
    })
}

/// An address is there a moment after it was given.
fn bound(address: IpAddr) -> anyhow::Result<TcpListener> {
    let end = Instant::now() + Duration::from_secs(5);
    loop {
        match TcpListener::bind((address, 0)) {
            Ok(listener) => return Ok(listener),
            Err(error) if Instant::now() > end => bail!("cannot listen on {address}: {error}"),
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn serve(listener: TcpListener, each: impl Fn(TcpStream) + Send + Sync + 'static) {
    let each = Arc::new(each);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let each = Arc::clone(&each);
            let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
            thread::spawn(move || each(stream));
        }
    });
}

fn echo(mut stream: TcpStream) {
    let mut buffer = [0; 2048];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}

fn http(stream: TcpStream, asked: &Mutex<Vec<String>>) {
    let Ok(mut answers) = stream.try_clone() else {
        return;
    };
    let mut lines = BufReader::new(stream).lines();
    while let Some(Ok(first)) = lines.next() {
        // Whatever came is noted, whole requests or not.
        let path = first.split(' ').nth(1).unwrap_or(&first).to_owned();
        asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(path);
        while let Some(Ok(line)) = lines.next() {
            if line.is_empty() {
                break;
            }
        }
        let answer = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok";
        if answers.write_all(answer).is_err() {
            return;
        }
    }
}

/// The name of the veth pair's end in its namespace.
const PEER: &str = "tgpeer";
