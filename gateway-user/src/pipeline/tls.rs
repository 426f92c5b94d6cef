//! TLS connections: the whole ClientHello, a leaf for the name it asks for, then what is inside.

use std::sync::Arc;

use http::Version;
use tokio::io::{AsyncRead, AsyncWrite};

use super::heard::Heard;
use super::http::Clear;
use super::{
    Client, Connection, ConnectionError, distrust, http as http_connection, observe, opaque, splice,
};
use crate::sniff::{self, Prefixed, Wire};
use crate::tls;

/// Opens a TLS connection with a leaf of the workload's CA, also for a forbidden host, so that a refusal is a readable answer.
pub(super) async fn open(
    connection: Arc<Connection>,
    io: Prefixed<Client>,
) -> Result<(), ConnectionError> {
    let io = if connection.observes() {
        match observe::open(&connection, io).await? {
            Some(io) => io,
            None => return Ok(()),
        }
    } else {
        match splice::open(&connection, io).await? {
            Some(io) => io,
            None => return Ok(()),
        }
    };
    let hello = tls::hello(io).await?;
    // Without SNI the client proves its peer by the address it dialled.
    let dialled = connection.origin.ip().to_canonical();
    let name = hello.name(dialled).to_str().into_owned();
    let sni = hello.sni().map(str::to_owned);
    connection
        .session
        .set_tls(sni.as_deref(), None, Some(&name))?;
    let authority = connection
        .gateway
        .keeper
        .authority(&connection.caller.workload.name)?;
    let completed = hello.complete(&authority, dialled).await;
    let stream = match completed {
        Ok(stream) => stream,
        Err(error) => {
            observe::not_openable(&connection, sni.as_deref(), &error.to_string());
            splice::distrusted(&connection, &name, &error);
            distrust::record(&connection, &name, &error).await?;
            return Err(error.into());
        }
    };
    let alpn = stream
        .get_ref()
        .1
        .alpn_protocol()
        .map(|alpn| String::from_utf8_lossy(alpn).into_owned());
    connection
        .session
        .set_tls(sni.as_deref(), alpn.as_deref(), Some(&name))?;
    let (heard, first) = Heard::new(stream, &connection, &name);
    let served = inside(
        Arc::clone(&connection),
        heard,
        alpn.as_deref(),
        name.clone(),
    )
    .await;
    if let Some(error) = first.left_early()
        && !connection
            .gateway
            .distrustful
            .spoke(&connection.caller.process, &name)
    {
        observe::not_openable(&connection, sni.as_deref(), &error.to_string());
        splice::distrusted(&connection, &name, &error);
        distrust::record(&connection, &name, &error).await?;
    }
    served
}

async fn inside(
    connection: Arc<Connection>,
    stream: Heard<impl AsyncRead + AsyncWrite + Unpin + Send + 'static>,
    alpn: Option<&str>,
    name: String,
) -> Result<(), ConnectionError> {
    match alpn {
        Some("h2") => {
            http_connection::serve(connection, stream, Clear::tls(name, Version::HTTP_2)).await
        }
        Some(_) => {
            http_connection::serve(connection, stream, Clear::tls(name, Version::HTTP_11)).await
        }
        // Without ALPN anything may be inside; HTTP/1 is named by its first line.
        None => {
            let sniffed = sniff::classify(stream, connection.deadlines()).await?;
            match sniffed.wire {
                Wire::Http1 => {
                    http_connection::serve(
                        connection,
                        sniffed.io,
                        Clear::tls(name, Version::HTTP_11),
                    )
                    .await
                }
                _ => opaque::serve(connection, sniffed.io, Some(name), |_| ()).await,
            }
        }
    }
}
