//! Masks of the heads and trailers of answers.

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{
    Request,
    body::{Frame, Incoming},
    header::{HeaderMap, HeaderValue},
};
use tokio::{sync::mpsc, time::timeout};

use crate::{
    fixture::{Proxy, SOON},
    setup::Setup,
    site::{self, SITE, Site},
};

const POLICIES: &str = r#"
@id("all") permit (principal, action in Action::"http", resource == Service::"site");
@id("mask") @mask("pii")
forbid (principal, action == Action::"http.read", resource == Service::"site")
unless { context.masked.contains("pii") };
"#;
const HEAD: &[(&str, &str)] = &[
    ("x-owner", "anna.smith@corp.com"),
    ("location", "https://site/of?to=anna.smith@corp.com"),
    ("set-cookie", "who=anna.smith@corp.com"),
];
const MASKED: &[(&str, &str)] = &[
    ("x-owner", "[REDACTED:email]"),
    ("location", "https://site/of?to=anna.smith@corp.com"),
    ("set-cookie", "who=anna.smith@corp.com"),
];

#[tokio::test]
async fn heads_and_trailers_of_answers_are_masked() -> anyhow::Result<()> {
    let site = Site::start(|request: Request<Incoming>| async move {
        // A text streams, a document is read whole.
        let body = match request.uri().path() {
            "/text" => "hello",
            _ => "{\"a\": 1}",
        };
        let (frames, from) = mpsc::channel(2);
        let mut trailers = HeaderMap::new();
        trailers.insert("x-by", HeaderValue::from_static("anna.smith@corp.com"));
        drop(frames.try_send(Ok(Frame::data(Bytes::from(body)))));
        drop(frames.try_send(Ok(Frame::trailers(trailers))));
        let told = [HEAD, &[("trailer", "x-by")]].concat();
        site::answer(200, &told, site::channel(from))
    })
    .await?;
    let proxy = Proxy::with(Setup {
        policies: POLICIES.to_owned(),
        services: site.service(None)?,
        ..Setup::default()
    })
    .await?;
    for version in ["http/1.1", "h2"] {
        for (method, path, expected) in [
            ("GET", "/text", MASKED),
            ("GET", "/document", MASKED),
            ("POST", "/text", HEAD),
        ] {
            let mut client = proxy.client(site.origin, SITE, version).await?;
            let mut request = client.request(method, &site.authority(), path, "")?;
            let wants = HeaderValue::from_static("trailers");
            request.headers_mut().insert("te", wants);
            let answer = timeout(SOON, client.start(request)).await??;
            for (name, value) in expected {
                assert_eq!(answer.headers()[*name], value, "{version} {path}");
            }
            let rest = timeout(SOON, answer.into_body().collect()).await??;
            let by = rest.trailers().map(|trailers| trailers["x-by"].clone());
            assert_eq!(by.as_ref(), Some(&HeaderValue::from_static(expected[0].1)));
        }
    }
    for exchange in proxy.ended(6).await? {
        let masks = exchange["method"] == "GET";
        let found = &exchange["findings"];
        assert_eq!(found[0]["count"].as_u64(), masks.then_some(2), "{found}");
    }
    Ok(())
}
