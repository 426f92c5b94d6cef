//! Surrogates: a model sees values that nobody has, and a destination that policy names gets the real ones, in either version of HTTP.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};

use crate::{client::direct, fixture::Proxy};

const POLICIES: &str = r#"
@id("chat")
permit (principal, action == Action::"llm.generate", resource == Service::"openai");

@id("people-stay-here") @mask("pii") @style("surrogate")
forbid (principal, action in Action::"llm", resource)
unless { context.masked.contains("pii") };

@id("crm") @restore("email,credit-card")
permit (principal, action in [Action::"http.read", Action::"http.write"], resource == Service::"files");

@id("no-cards") @message("no cards")
forbid (principal, action == Action::"http.write", resource == Service::"files")
when { context.path == "/echo/cards" && context.findings.contains("credit-card") };

@id("notes")
permit (principal, action == Action::"http.write", resource == Service::"plain");

// Whatever a policy says: never toward a provider.
@id("uploads") @restore("pii")
permit (principal, action == Action::"http.write", resource == Service::"openai");
"#;
const MAIL: &str = "anna.smith@corp.com";
const CARD: &str = "4111 1111 1111 1111";
const ADDRESS: &str = "185.60.216.35";

/// What a client got: status and text.
async fn send(
    proxy: &Proxy,
    (name, version): (&str, &str),
    (method, path): (&str, &str),
    body: String,
) -> anyhow::Result<(u16, String)> {
    let origin = proxy.tls_origin();
    let mut client = proxy.client(origin, name, version).await?;
    let host = format!("{name}:{}", origin.port());
    let mut request = client.request(method, &host, path, body)?;
    let kind = if path.starts_with("/echo/form") {
        "application/x-www-form-urlencoded"
    } else {
        "application/json"
    };
    request.headers_mut().insert("content-type", kind.parse()?);
    let (status, body) = client.send(request).await?;
    Ok((status, String::from_utf8(body.to_vec())?))
}

/// Mail, card and address as a model sees them.
async fn seen(proxy: &Proxy, version: &str) -> anyhow::Result<[String; 3]> {
    let says = json!([MAIL, CARD, ADDRESS]).to_string();
    let body = json!({"model": "gpt-5-mini", "messages": [{"role": "user", "content": says}]});
    let (status, answer) = send(
        proxy,
        ("api.openai.com", version),
        ("POST", "/v1/chat/completions"),
        body.to_string(),
    )
    .await?;
    assert_eq!(status, 200, "{answer}");
    let received = proxy.upstream.take().remove(0);
    let body: Value = serde_json::from_slice(&received.body)?;
    Ok(serde_json::from_str(
        body["messages"][0]["content"].as_str().unwrap(),
    )?)
}

#[tokio::test]
async fn a_destination_that_policy_names_gets_what_a_model_never_saw() -> anyhow::Result<()> {
    let proxy = Proxy::start().await?;
    proxy.govern(POLICIES)?;
    let body = json!({"to": MAIL, "card": CARD}).to_string();
    let control = direct(&proxy.upstream, "/echo", body.clone()).await?;
    assert_eq!(control, body);
    for version in ["http/1.1", "h2"] {
        let [mail, card, address] = seen(&proxy, version).await?;
        assert!(mail.ends_with("@surrogate.example"), "{mail}");
        assert!(
            card.starts_with("9999 ") && card.len() == CARD.len(),
            "{card}"
        );
        assert!(
            address.starts_with("24") || address.starts_with("25"),
            "{address}"
        );

        // In JSON, also in a document in a string; what is not named stays.
        let call = json!({"to": mail, "args": json!({"card": card}).to_string(), "ip": address});
        let files = ("files", version);
        let (status, echoed) = send(&proxy, files, ("POST", "/echo"), call.to_string()).await?;
        let real = json!({"to": MAIL, "args": json!({"card": CARD}).to_string(), "ip": address});
        assert_eq!(
            (status, serde_json::from_str::<Value>(&echoed)?),
            (200, real)
        );
        let received = proxy.upstream.take().remove(0);
        assert_eq!(
            received.header("content-length"),
            Some(echoed.len().to_string().as_str())
        );

        // In the target, and in a form.
        let escaped = mail.replace('@', "%40");
        let path = format!("/people/{escaped}?mail={escaped}&a=%7e");
        send(&proxy, files, ("GET", &path), String::new()).await?;
        let real = MAIL.replace('@', "%40");
        let received = proxy.upstream.take().remove(0);
        assert_eq!(received.path, format!("/people/{real}?mail={real}&a=%7e"));
        let form = format!("a=1&to={escaped}");
        send(&proxy, files, ("POST", "/echo/form"), form).await?;
        assert_eq!(
            proxy.upstream.take().remove(0).text(),
            format!("a=1&to={real}")
        );

        // Policy decides on a surrogate as on the value it stands for, however it is written.
        let escaped: String = card
            .bytes()
            .map(|byte| format!("\\u00{byte:02x}"))
            .collect();
        let escaped = format!("[\"{escaped}\"]");
        let nested = json!({"args": escaped}).to_string();
        for body in [json!([card]).to_string(), escaped, nested] {
            let (status, answer) = send(&proxy, files, ("POST", "/echo/cards"), body).await?;
            assert_eq!(status, 403, "{answer}");
            assert!(answer.contains("no cards"), "{answer}");
        }
        assert!(proxy.upstream.take().is_empty());

        // Toward a provider the same permit restores nothing.
        let upload = json!({"note": mail}).to_string();
        let openai = ("api.openai.com", version);
        send(&proxy, openai, ("POST", "/v1/files"), upload.clone()).await?;
        assert_eq!(proxy.upstream.take().remove(0).text(), upload);
    }
    let exchanges = proxy.ended(16).await?;
    let exchanges: Vec<Value> = exchanges
        .into_iter()
        .filter(|exchange| exchange["path"] != "/echo/cards")
        .collect();
    assert_eq!(exchanges.len(), 10);
    for (exchange, (obligations, findings)) in exchanges.iter().zip(
        [
            (
                json!(["mask:pii (surrogate)"]),
                json!(["pii", "pii", "pii"]),
            ),
            (
                json!(["restore:credit-card", "restore:email"]),
                json!(["restored", "restored"]),
            ),
            (
                json!(["restore:credit-card", "restore:email"]),
                json!(["restored"]),
            ),
            (
                json!(["restore:credit-card", "restore:email"]),
                json!(["restored"]),
            ),
            (json!(["restore:pii"]), json!([])),
        ]
        .iter()
        .cycle(),
    ) {
        let classes = exchange["findings"].as_array().unwrap();
        let classes: Vec<&Value> = classes.iter().map(|found| &found["class"]).collect();
        assert_eq!(
            (
                &exchange["outcome"],
                &exchange["obligations"],
                json!(classes)
            ),
            (&json!("completed"), obligations, findings.clone()),
            "{exchange:#}"
        );
        assert!(!exchange.to_string().contains(MAIL), "{exchange:#}");
    }
    Ok(())
}

#[tokio::test]
async fn elsewhere_a_surrogate_stays_and_one_that_nobody_knows_is_refused() -> anyhow::Result<()> {
    let proxy = Proxy::start().await?;
    proxy.govern(POLICIES)?;
    let [mail, ..] = seen(&proxy, "http/1.1").await?;
    let plain = proxy.upstream.plain[0];
    let stream = proxy.dial(plain).await?;
    let io = hyper_util::rt::TokioIo::new(stream);
    let mut client = crate::client::Client::over(io, "http/1.1").await?;
    let host = format!("localhost:{}", plain.port());
    let request = client.request("POST", &host, "/echo", mail.clone())?;
    let (status, echoed) = client.send(request).await?;
    assert_eq!((status, &echoed[..]), (200, mail.as_bytes()));
    proxy.upstream.take();

    // Altered by a model, and one of another time.
    for unknown in [
        format!("a{mail}"),
        "abcdefghijkl@surrogate.example".to_owned(),
    ] {
        let body = json!({"to": unknown}).to_string();
        let (status, answer) = send(&proxy, ("files", "h2"), ("POST", "/echo"), body).await?;
        assert_eq!(status, 403, "{answer}");
        assert!(answer.contains(&unknown), "{answer}");
    }
    assert!(proxy.upstream.take().is_empty());
    let exchanges = proxy.ended(4).await?;
    for exchange in &exchanges[2..] {
        assert_eq!(exchange["outcome"], "refused");
        let reason = exchange["reason"].as_str().unwrap();
        assert!(reason.contains("stands for"), "{exchange:#}");
    }
    Ok(())
}
