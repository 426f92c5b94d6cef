//! A name server of a test's own: a few records, UDP and TCP, and a list of what it was asked.
//!
//! It reads and writes messages by the letter of RFC 1035, without the library that the gateway uses.

use std::{
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::free_address;

/// A name server; it ends with this.
pub struct Resolver {
    /// Where it listens, at port 53.
    pub addr: SocketAddr,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// A record: name, type, data.
pub type Record = (String, u16, Vec<u8>);

struct Shared {
    records: Vec<Record>,
    asked: Mutex<Vec<(String, u16)>>,
    over: AtomicBool,
}

/// The record that gives a name an address.
#[must_use]
pub fn address(name: &str, address: IpAddr) -> Record {
    match address {
        IpAddr::V4(v4) => (name.to_owned(), A, v4.octets().to_vec()),
        IpAddr::V6(v6) => (name.to_owned(), AAAA, v6.octets().to_vec()),
    }
}

/// A record of text.
#[must_use]
pub fn text(name: &str, text: &str) -> Record {
    let length = u8::try_from(text.len()).unwrap_or(0);
    let data = [&[length], &text.as_bytes()[..usize::from(length)]].concat();
    (name.to_owned(), TXT, data)
}

impl Resolver {
    /// Answers with these records, at a loopback address of its own.
    pub fn start(records: Vec<Record>) -> anyhow::Result<Self> {
        let addr = free_address(53)?;
        let (tcp, udp) = (TcpListener::bind(addr)?, UdpSocket::bind(addr)?);
        udp.set_read_timeout(Some(LOOK))?;
        tcp.set_nonblocking(true)?;
        let shared = Arc::new(Shared {
            records,
            asked: Mutex::default(),
            over: AtomicBool::new(false),
        });
        let (datagrams, streams) = (Arc::clone(&shared), Arc::clone(&shared));
        let threads = vec![
            thread::spawn(move || datagrams.answer_datagrams(&udp)),
            thread::spawn(move || streams.answer_streams(&tcp)),
        ];
        Ok(Self {
            addr,
            shared,
            threads,
        })
    }

    /// Takes the names and types that it was asked for.
    #[must_use]
    pub fn take(&self) -> Vec<(String, u16)> {
        std::mem::take(&mut *self.shared.asked())
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn asked(&self) -> std::sync::MutexGuard<'_, Vec<(String, u16)>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer_datagrams(&self, socket: &UdpSocket) {
        let mut buffer = [0; 4096];
        while !self.over.load(Ordering::Relaxed) {
            let Ok((length, client)) = socket.recv_from(&mut buffer) else {
                continue;
            };
            if let Some(answer) = self.answer(&buffer[..length], Some(SMALLEST)) {
                let _ = socket.send_to(&answer, client);
            }
        }
    }

    fn answer_streams(&self, listener: &TcpListener) {
        while !self.over.load(Ordering::Relaxed) {
            match listener.accept() {
                // Until the client has no more questions.
                Ok((stream, _)) => drop(self.answer_stream(stream)),
                Err(_) => thread::sleep(LOOK),
            }
        }
    }

    fn answer_stream(&self, mut stream: TcpStream) -> std::io::Result<std::convert::Infallible> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        loop {
            let mut length = [0; 2];
            stream.read_exact(&mut length)?;
            let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut message)?;
            let answer = self.answer(&message, None).unwrap_or_default();
            let length = u16::try_from(answer.len()).unwrap_or(0).to_be_bytes();
            stream.write_all(&[&length[..], &answer].concat())?;
        }
    }

    /// The records of the question's name and type; the bit that says "truncated", and none, where they do not fit.
    fn answer(&self, message: &[u8], room: Option<usize>) -> Option<Vec<u8>> {
        let (name, end) = name(message)?;
        let kind = u16::from_be_bytes(message.get(end..end + 2)?.try_into().ok()?);
        self.asked().push((name.clone(), kind));
        let here = |(owner, ..): &&Record| owner.eq_ignore_ascii_case(&name);
        let known = self.records.iter().any(|record| here(&record));
        let found: Vec<&Record> = self.records.iter().filter(here).collect();
        let found: Vec<&&Record> = found.iter().filter(|(_, of, _)| *of == kind).collect();
        let code = if known { 0 } else { NXDOMAIN };
        let mut answer = message.get(..2)?.to_vec();
        answer.extend([0x84 | message[2] & 1, 0x80 | code, 0, 1]);
        answer.extend(u16::try_from(found.len()).ok()?.to_be_bytes());
        answer.extend([0; 4]);
        answer.extend(message.get(HEADER..end + 4)?);
        let bare = answer.len();
        for (_, kind, data) in found {
            answer.extend([0xc0, 12]);
            answer.extend(kind.to_be_bytes());
            answer.extend([0, 1, 0, 0, 0, 60]);
            answer.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
            answer.extend(data);
        }
        if room.is_some_and(|room| answer.len() > room) {
            answer.truncate(bare);
            answer[2] |= TRUNCATED;
            answer[6..8].fill(0);
        }
        Some(answer)
    }
}

/// The name of the question, and where it ends.
fn name(message: &[u8]) -> Option<(String, usize)> {
    let (mut labels, mut at) = (Vec::new(), HEADER);
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        let label = message.get(at..at + length)?;
        labels.push(String::from_utf8_lossy(label).to_lowercase());
        at += length;
    }
}

/// Address, version 4.
pub const A: u16 = 1;
/// Text.
pub const TXT: u16 = 16;
/// Address, version 6.
pub const AAAA: u16 = 28;

const HEADER: usize = 12;
const NXDOMAIN: u8 = 3;
const TRUNCATED: u8 = 2;
/// What goes into one datagram: so little that a larger answer is asked for by TCP.
const SMALLEST: usize = 512;
/// How often it looks whether it is over.
const LOOK: Duration = Duration::from_millis(20);
