//! Servers of launches in network namespaces of their own: what comes to their endpoints on the host is brought to them.
//!
//! In: listeners of the host. Out: connections to the loopback of a launch's namespace, byte for byte. There the kernel part admits, limits and reports them
//! as it does on the host; the record has who came to the host. What policy does not permit is reset, also what is open when it no longer does.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::Proxying;
use super::inbound::FLOWS;
use crate::config::Offer;

impl Proxying {
    /// Accepts for a workload until it is unpublished.
    pub(super) fn publish(
        self: &Arc<Self>,
        workload: u32,
        listen: &[Offer],
        listeners: Vec<OwnedFd>,
    ) -> io::Result<()> {
        for (offer, listener) in listen.iter().zip(listeners) {
            let listener = TcpListener::from_std(listener.into())?;
            let (open, closed) = watch::channel(());
            self.services
                .spawn(Arc::clone(self).accept(workload, *offer, listener, closed));
            self.inbound.publish((workload, *offer), open);
        }
        // What is answered outside is answered inside too.
        let known = self.gateway.registry.by_number(workload);
        let known = known.ok_or(io::ErrorKind::NotFound)?;
        self.inbound.apply(&known).map_err(io::Error::other)
    }

    async fn accept(
        self: Arc<Self>,
        workload: u32,
        offer: Offer,
        listener: TcpListener,
        mut closed: watch::Receiver<()>,
    ) {
        let room = Arc::new(Semaphore::new(FLOWS as usize));
        loop {
            // Beyond what the kernel part admits, others wait in the backlog.
            let next = async {
                let place = Arc::clone(&room).acquire_owned().await;
                (place, listener.accept().await)
            };
            let (place, accepted) = tokio::select! {
                // Nothing is ever sent.
                _ = closed.changed() => return,
                next = next => next,
            };
            match accepted {
                Ok((client, peer)) => {
                    let proxying = Arc::clone(&self);
                    self.gateway.tasks.spawn(async move {
                        let brought = proxying.bring(workload, offer, client, peer).await;
                        if let Err(error) = brought {
                            tracing::debug!(%error, %peer, %offer, "not brought to a launch");
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, %offer, "accept failed");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// One connection, to its end.
    async fn bring(
        &self,
        workload: u32,
        offer: Offer,
        mut client: TcpStream,
        peer: SocketAddr,
    ) -> io::Result<()> {
        // Whoever is turned away is told at once, as by a closed port.
        client.set_zero_linger()?;
        let mut refused = std::pin::pin!(self.inbound.refused(workload, offer));
        let mut inside = tokio::select! {
            biased;
            () = &mut refused => return Err(io::ErrorKind::PermissionDenied.into()),
            inside = self.dial(workload, offer, peer) => inside?,
        };
        // The server too: what it still has to say is dropped, and its end would not be heard of.
        inside.set_zero_linger()?;
        tokio::select! {
            () = refused => Err(io::ErrorKind::PermissionDenied.into()),
            copied = copy_bidirectional(&mut client, &mut inside) => {
                copied?;
                for stream in [&client, &inside] {
                    socket2::SockRef::from(stream).set_linger(None)?;
                }
                Ok(())
            }
        }
    }

    /// The first launch of the workload that listens there.
    #[expect(
        clippy::disallowed_methods,
        reason = "it goes into a launch, where policy permits net.listen, and never leaves"
    )]
    async fn dial(&self, workload: u32, offer: Offer, peer: SocketAddr) -> io::Result<TcpStream> {
        let namespaces: Vec<u64> = {
            let served = self.namespaces();
            let own = served.keys().filter(|(of, _)| *of == workload);
            own.map(|(_, namespace)| *namespace).collect()
        };
        for namespace in namespaces {
            for v6 in [false, true] {
                let guard = Arc::clone(&self.guard);
                let made = spawn_blocking(move || guard.socket(workload, namespace, v6)).await;
                let socket = made.map_err(io::Error::other)?.map_err(io::Error::other)?;
                let socket = TcpSocket::from_std_stream(socket.into());
                let own = socket.local_addr()?;
                self.inbound.expect((namespace, own), peer);
                let to = SocketAddr::new(own.ip(), offer.endpoint().port());
                match timeout(PATIENCE, socket.connect(to)).await {
                    Ok(Ok(stream)) => return Ok(stream),
                    _ => self.inbound.expect_no_more((namespace, own)),
                }
            }
        }
        Err(io::ErrorKind::ConnectionRefused.into())
    }
}

const PAUSE: Duration = Duration::from_millis(50);
/// The kernel part does not answer while a workload has no room, or while nothing can be put on record.
const PATIENCE: Duration = Duration::from_secs(5);
