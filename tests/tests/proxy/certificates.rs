//! Certificates of upstreams: each that proves nothing is refused with its own reason; addresses prove as names do; and certificates
//! that the gateway shows.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    fixture::{Proxy, SOON},
    setup::Setup,
};

const POLICIES: &str = r#"
@id("secure")
permit (principal, action in Action::"http", resource)
when { [Service::"secure", Service::"address", Service::"shown"].contains(resource) };

@id("model")
permit (principal, action == Action::"llm.generate", resource == Service::"secure");
"#;

struct Ca {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
}

impl Ca {
    fn new(name: &str) -> anyhow::Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Ok(Self {
            certificate: params.self_signed(&key)?,
            issuer: Issuer::new(params, key),
        })
    }
}

/// What a server shows.
type Shown = (CertificateDer<'static>, PrivateKeyDer<'static>);

fn shown(certificate: &rcgen::Certificate, key: &KeyPair) -> anyhow::Result<Shown> {
    let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
    Ok((certificate.der().clone(), key))
}

/// A server certificate for these names, signed by `ca`.
fn leaf(ca: &Ca, names: &[&str], change: impl Fn(&mut CertificateParams)) -> anyhow::Result<Shown> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "leaf");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    change(&mut params);
    let key = KeyPair::generate()?;
    shown(&params.signed_by(&key, &ca.issuer)?, &key)
}

/// Answers every TLS connection that gets so far with one answer.
struct Server {
    origin: SocketAddr,
    requests: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

impl Server {
    async fn start((certificate, key): Shown, clients: Option<&Ca>) -> anyhow::Result<Self> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let config = match clients {
            None => config.with_no_client_auth(),
            Some(ca) => {
                let mut roots = RootCertStore::empty();
                roots.add(ca.certificate.der().clone())?;
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                config.with_client_cert_verifier(verifier.build()?)
            }
        };
        let config = config.with_single_cert(vec![certificate], key)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let origin = listener.local_addr()?;
        let requests = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&requests);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    continue;
                };
                let mut request = [0; 4096];
                if !matches!(stream.read(&mut request).await, Ok(1..)) {
                    continue;
                }
                count.fetch_add(1, Ordering::Relaxed);
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
                drop(stream.write_all(answer).await);
                drop(stream.shutdown().await);
            }
        });
        Ok(Self {
            origin,
            requests,
            _serving: serving,
        })
    }
}

#[tokio::test]
async fn each_bad_certificate_is_refused_with_its_reason() -> anyhow::Result<()> {
    const DAY: Duration = Duration::from_secs(86_400);
    let (ca, other) = (Ca::new("known")?, Ca::new("unknown")?);
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, ca.certificate.pem())?;
    let now = SystemTime::now();
    let own = {
        let key = KeyPair::generate()?;
        let params = CertificateParams::new(vec!["secure".to_owned()])?;
        shown(&params.self_signed(&key)?, &key)?
    };
    let broken = {
        let (certificate, key) = leaf(&ca, &["secure"], |_| ())?;
        let mut bytes = certificate.to_vec();
        // The last byte of the signature.
        if let Some(last) = bytes.last_mut() {
            *last ^= 1;
        }
        (CertificateDer::from(bytes), key)
    };
    let cases = [
        ("good", leaf(&ca, &["secure"], |_| ())?, ""),
        (
            "expired",
            leaf(&ca, &["secure"], |params| {
                params.not_before = (now - 30 * DAY).into();
                params.not_after = (now - 3 * DAY).into();
            })?,
            "the certificate of secure expired 3 days ago",
        ),
        (
            "not yet valid",
            leaf(&ca, &["secure"], |params| {
                params.not_before = (now + 3 * DAY).into();
                params.not_after = (now + 30 * DAY).into();
            })?,
            "the certificate of secure is not valid yet",
        ),
        (
            "self-signed",
            own,
            "the certificate of secure is self-signed and not trusted",
        ),
        (
            "wrong name",
            leaf(&ca, &["other", "evilsecure"], |_| ())?,
            "the certificate presented for secure is for",
        ),
        (
            "unknown CA",
            leaf(&other, &["secure"], |_| ())?,
            "is not signed by a trusted root",
        ),
        ("bad signature", broken, "has a signature that does not fit"),
        (
            "for clients",
            leaf(&ca, &["secure"], |params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            })?,
            "is not acceptable: ",
        ),
        (
            "a CA",
            leaf(&ca, &["secure"], |params| {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            })?,
            "is not acceptable: ",
        ),
    ];
    for (name, certificate, reason) in cases {
        let server = Server::start(certificate, None).await?;
        let proxy = governed(&server, &path, "").await?;
        let client = proxy.client(server.origin, "secure", "http/1.1").await?;
        let host = format!("secure:{}", server.origin.port());
        let requests = [
            client.request("GET", &host, "/", "")?,
            client.request(
                "POST",
                &host,
                "/v1/chat/completions",
                r#"{"model":"m","messages":[]}"#,
            )?,
        ];
        let good = reason.is_empty();
        for request in requests {
            // The good server serves one request of a connection.
            let mut client = proxy.client(server.origin, "secure", "http/1.1").await?;
            let (status, body) = client.send(request).await?;
            assert_eq!(status, if good { 200 } else { 502 }, "{name}: {body:?}");
            if !good {
                let body: serde_json::Value = serde_json::from_slice(&body)?;
                let message = body["error"]["message"].as_str().unwrap_or_default();
                assert!(message.contains(reason), "{name}: {message}");
            }
        }
        assert_eq!(
            server.requests.load(Ordering::Relaxed),
            if good { 2 } else { 0 },
            "{name}"
        );
        for exchange in proxy.ended(2).await? {
            let outcome = if good { "completed" } else { "failed" };
            assert_eq!(exchange["outcome"], outcome, "{name}: {exchange:#}");
            let recorded = exchange["reason"].as_str().unwrap_or_default();
            assert!(recorded.contains(reason), "{name}: {exchange:#}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_address_is_proven_by_the_certificate_as_a_name_is() -> anyhow::Result<()> {
    let ca = Ca::new("known")?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, ca.certificate.pem())?;
    for (names, status) in [
        (["127.0.0.1"], "200"),
        (["127.0.0.2"], "502"),
        (["localhost"], "502"),
    ] {
        let server = Server::start(leaf(&ca, &names, |_| ())?, None).await?;
        let proxy = governed(&server, &path, "").await?;
        // A client that dials an address sends no name, and wants a certificate for the address.
        let address = ServerName::from(server.origin.ip()).to_str().into_owned();
        let mut stream = proxy.tls(server.origin, &address, "http/1.1").await?;
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            server.origin
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        timeout(SOON, stream.read_to_end(&mut answer)).await??;
        let answer = String::from_utf8_lossy(&answer);
        assert_eq!(&answer[9..12], status, "{names:?}: {answer}");
        let exchange = proxy.ended(1).await?.remove(0);
        assert_eq!(exchange["service"], "address", "{exchange:#}");
    }
    Ok(())
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_its_service_and_to_no_other() -> anyhow::Result<()> {
    let (ca, clients) = (Ca::new("known")?, Ca::new("clients")?);
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, ca.certificate.pem())?;
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::new())?;
    params
        .distinguished_name
        .push(DnType::CommonName, "tollgate");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let signed = params.signed_by(&key, &clients.issuer)?;
    std::fs::write(folder.path().join("client.pem"), signed.pem())?;
    std::fs::write(folder.path().join("client.key"), key.serialize_pem())?;

    let server = Server::start(leaf(&ca, &["secure", "shown"], |_| ())?, Some(&clients)).await?;
    let credential = format!(
        "credential = {{ certificate = {:?}, key = {:?} }}\n",
        folder.path().join("client.pem"),
        folder.path().join("client.key")
    );
    let proxy = governed(&server, &path, &credential).await?;
    for (name, status) in [("shown", 200), ("secure", 502)] {
        let mut client = proxy.client(server.origin, name, "http/1.1").await?;
        let host = format!("{name}:{}", server.origin.port());
        let (got, body) = client.send(client.request("GET", &host, "/", "")?).await?;
        assert_eq!(got, status, "{name}: {body:?}");
        if status == 502 {
            let body = String::from_utf8_lossy(&body);
            assert!(
                body.contains("certificate_required") && body.contains("client certificate"),
                "{body}"
            );
        }
    }
    assert_eq!(server.requests.load(Ordering::Relaxed), 1);
    let exchanges = proxy.ended(2).await?;
    assert_eq!(exchanges[0]["outcome"], "completed", "{exchanges:#?}");
    assert_eq!(exchanges[1]["outcome"], "failed", "{exchanges:#?}");
    Ok(())
}

/// The server as three services: by two names and by its address; `credential` is of service "shown".
async fn governed(
    server: &Server,
    ca: &std::path::Path,
    credential: &str,
) -> anyhow::Result<Proxy> {
    let port = server.origin.port();
    let service = |name: &str, host: &str| {
        format!("\n[[service]]\nname = {name:?}\nhosts = [\"{host}:{port}\"]\nca = {ca:?}\n")
    };
    let services = [
        service("secure", "secure"),
        service("address", "127.0.0.1"),
        service("shown", "shown"),
        credential.to_owned(),
    ];
    Proxy::with(Setup {
        policies: POLICIES.to_owned(),
        services: services.concat(),
        ..Setup::default()
    })
    .await
}
