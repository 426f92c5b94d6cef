//! Questions to the DNS stage that come over TCP: one session, its messages answered one after the other.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::lookup::{self, Asker};
use super::{Client, Connection, ConnectionError};
use crate::dns::Framer;

/// Answers the messages of a connection, one after the other.
pub(super) async fn serve(
    connection: Arc<Connection>,
    mut stream: Client,
) -> Result<(), ConnectionError> {
    let connection = match Arc::try_unwrap(connection) {
        Ok(connection) => connection,
        // Nobody else has it yet.
        Err(_) => return Ok(()),
    };
    if connection.place.is_none() {
        connection
            .share
            .log("a DNS connection is refused: its workload has too many open");
        return Ok(());
    }
    let gateway = Arc::clone(&connection.gateway);
    let asker = Asker::new(connection.caller, connection.session);
    let (mut framer, mut buffer) = (Framer::default(), [0; BUFFER]);
    loop {
        let read = tokio::select! {
            read = timeout(IDLE, stream.read(&mut buffer)) => read,
            () = gateway.drain.begun() => break,
        };
        let length = match read {
            Ok(Ok(length)) if length > 0 => length,
            _ => break,
        };
        let Ok(messages) = framer.push(&buffer[..length]) else {
            break;
        };
        for message in messages {
            let bytes = lookup::answer(&gateway, &asker, &message).await?.framed();
            let written = timeout(IDLE, stream.write_all(&bytes)).await;
            if bytes.is_empty() || !matches!(written, Ok(Ok(()))) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// A question comes in one segment.
const BUFFER: usize = 2048;
/// Clients keep a connection for a few questions (RFC 7766 6.2.3).
const IDLE: Duration = Duration::from_secs(10);
