//! Bounded accept: one listener per workload and address family, one supervised task per connection; beside it, at the same address and
//! port, a UDP socket for questions to the DNS stage.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::watch;

use crate::kernel::Containment;
use crate::load::Share;
use crate::pipeline::{self, Gateway};
use crate::sys::inherit::Kept;
use crate::sys::namespace;
use crate::tasks::Tasks;

/// The two listeners of a workload.
pub struct Listeners {
    /// Its own loopback address.
    pub v4: Pair,
    /// Its own port on `::1`; `None` on a host without IPv6.
    pub v6: Option<Pair>,
}

/// Both sockets of one address.
pub struct Pair {
    /// For connections.
    pub tcp: TcpListener,
    /// For questions to the DNS stage.
    pub udp: UdpSocket,
}

/// Where listeners are.
#[derive(Clone, Debug)]
pub struct Site {
    /// How what connects there is contained.
    pub containment: Containment,
    /// When its sender is dropped they close; `None` is never, before the daemon ends.
    pub closed: Option<watch::Receiver<()>>,
}

impl Site {
    /// The host's network namespace.
    #[must_use]
    pub fn host() -> Self {
        Self {
            containment: Containment::Hooks,
            closed: None,
        }
    }
}

impl Listeners {
    /// Takes the addresses a workload had before: the very sockets, where they are among `kept`, so that connections and
    /// questions which wait in them are answered; else new ones.
    ///
    /// # Errors
    /// An address is taken, so flows the kernel redirects there would reach somebody else.
    pub async fn rebind(
        v4: SocketAddrV4,
        v6: Option<SocketAddrV6>,
        kept: &mut Kept,
    ) -> io::Result<Self> {
        let v6 = match v6 {
            Some(address) => Some(again(address.into(), kept).await?),
            None => None,
        };
        Ok(Self {
            v4: again(v4.into(), kept).await?,
            v6,
        })
    }

    /// Binds free addresses for workload `number`; its number is only where the search begins.
    ///
    /// # Errors
    /// No address is free.
    pub async fn bind(number: u32) -> io::Result<Self> {
        Ok(Self {
            v4: free_v4(number).await?,
            v6: free_v6(number).await?,
        })
    }

    /// The addresses, for the kernel and the registry.
    ///
    /// # Errors
    /// The socket is gone.
    pub fn addresses(&self) -> io::Result<(SocketAddrV4, Option<SocketAddrV6>)> {
        let std::net::SocketAddr::V4(v4) = self.v4.tcp.local_addr()? else {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        };
        let v6 = self.v6.as_ref().map(|v6| v6.tcp.local_addr()).transpose()?;
        Ok((
            v4,
            v6.and_then(|address| match address {
                std::net::SocketAddr::V6(v6) => Some(v6),
                std::net::SocketAddr::V4(_) => None,
            }),
        ))
    }

    /// The sockets of each address.
    pub fn pairs(&self) -> impl Iterator<Item = &Pair> {
        [Some(&self.v4), self.v6.as_ref()].into_iter().flatten()
    }

    /// The sockets, to be handed to another process; [`Listeners::given`] has them in this order.
    ///
    /// # Errors
    /// A socket is gone.
    pub fn into_descriptors(self) -> io::Result<Vec<OwnedFd>> {
        let mut descriptors = Vec::new();
        for Pair { tcp, udp } in [Some(self.v4), self.v6].into_iter().flatten() {
            descriptors.extend([tcp.into_std()?.into(), udp.into_std()?.into()]);
        }
        Ok(descriptors)
    }

    /// Listeners that another process has bound.
    ///
    /// # Errors
    /// They are not what they should be.
    pub fn given(descriptors: Vec<OwnedFd>) -> io::Result<Self> {
        let mut descriptors = descriptors.into_iter();
        let mut pair = || -> io::Result<Option<Pair>> {
            let (Some(tcp), Some(udp)) = (descriptors.next(), descriptors.next()) else {
                return Ok(None);
            };
            Ok(Some(Pair {
                tcp: TcpListener::from_std(tcp.into())?,
                udp: UdpSocket::from_std(udp.into())?,
            }))
        };
        Ok(Self {
            v4: pair()?.ok_or(io::ErrorKind::NotFound)?,
            v6: pair()?,
        })
    }

    /// Accepts on the host, as tasks of `services`; connections are tasks of the gateway.
    pub fn serve(self, gateway: &Arc<Gateway>, share: &Arc<Share>, services: &Tasks) {
        self.serve_at(Site::host(), gateway, share, services);
    }

    /// Accepts as [`Listeners::serve`] does, there.
    pub fn serve_at(
        self,
        site: Site,
        gateway: &Arc<Gateway>,
        share: &Arc<Share>,
        services: &Tasks,
    ) {
        for Pair { tcp, udp } in [Some(self.v4), self.v6].into_iter().flatten() {
            let (level, closed) = (site.containment, site.closed.clone());
            let accepting = accept(Arc::clone(gateway), tcp, Arc::clone(share), level);
            let asked = pipeline::questions(Arc::clone(gateway), udp, level);
            services.spawn(until(closed.clone(), accepting));
            services.spawn(until(closed, asked));
        }
    }
}

/// Works until the site is closed.
async fn until(closed: Option<watch::Receiver<()>>, work: impl Future<Output = ()>) {
    let Some(mut closed) = closed else {
        return work.await;
    };
    tokio::select! {
        () = work => {}
        // Nothing is ever sent.
        _ = closed.changed() => {}
    }
}

/// Accepts until the task is shut down.
async fn accept(
    gateway: Arc<Gateway>,
    listener: TcpListener,
    share: Arc<Share>,
    containment: Containment,
) {
    loop {
        // A full workload waits in its own backlog; others do not notice.
        let place = share.next().await;
        match listener.accept().await {
            Ok((stream, _)) => {
                let place = share.among_all(place).await;
                let connection = pipeline::connection(Arc::clone(&gateway), stream, containment);
                gateway.tasks.spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(error) => {
                // Out of descriptors or memory: what is open now has to end first.
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// A listener of the host that is accepted from later, perhaps by another process.
///
/// # Errors
/// The address is taken, or not this host's.
pub fn unaccepted(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

async fn again(address: SocketAddr, kept: &mut Kept) -> io::Result<Pair> {
    let here = namespace::cookie()?;
    let tcp = match kept.listener(here, address) {
        Some(listener) => TcpListener::from_std(listener)?,
        None => TcpListener::bind(address).await?,
    };
    let udp = match kept.datagrams(here, address) {
        Some(datagrams) => UdpSocket::from_std(datagrams)?,
        None => UdpSocket::bind(address).await?,
    };
    Ok(Pair { tcp, udp })
}

async fn pair(address: SocketAddr) -> io::Result<Pair> {
    again(address, &mut Kept::default()).await
}

async fn free_v4(number: u32) -> io::Result<Pair> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for attempt in 0..ATTEMPTS {
        let [_, _, high, low] = (number + attempt * STRIDE).to_be_bytes();
        match pair((Ipv4Addr::new(127, 84, high, low), PORT).into()).await {
            Ok(pair) => return Ok(pair),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn free_v6(number: u32) -> io::Result<Option<Pair>> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for attempt in 0..ATTEMPTS {
        let port = PORT + u16::try_from((number + attempt * STRIDE) % PORTS).unwrap_or_default();
        match pair((Ipv6Addr::LOCALHOST, port).into()).await {
            Ok(pair) => return Ok(Some(pair)),
            Err(error)
                if error.kind() == io::ErrorKind::AddrNotAvailable
                    || error.raw_os_error() == Some(AFNOSUPPORT) =>
            {
                return Ok(None);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Below the ephemeral range, so that no outgoing connection takes it while the daemon is restarted.
const PORT: u16 = 15_001;
const PORTS: u32 = 10_000;
/// Other instances on the host hold the first ones.
const ATTEMPTS: u32 = 256;
/// Prime, so that instances which count alike soon part.
const STRIDE: u32 = 37;
/// `EAFNOSUPPORT`: the kernel runs without IPv6.
const AFNOSUPPORT: i32 = 97;
