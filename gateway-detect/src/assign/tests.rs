//! What names and places say, and what stands there.

use crate::tests::{found, is_found_however_cut};

/// Drawn by hand; nothing that any service issues.
const TOKEN: &str = "q7Zk2mWv9Rt4Lx8Bn3Hc";
const PASSWORD: &str = "tr0ub4dor!Ex";

/// Each text has `@` where the value stands.
fn is_found(text: &str, value: &str, detector: &str) {
    let text = text.replace('@', value);
    let expected = [(detector.to_owned(), value.to_owned())];
    assert_eq!(found(&text), expected, "{text}");
    is_found_however_cut(&text);
}

#[test]
fn secrets_are_found_behind_their_names_in_every_language() {
    for text in [
        "var vendorToken string = \"@\"",
        "let token: &str = \"@\";",
        "val apiToken: String? = \"@\"",
        "api_token: Optional[str] = '@'",
        "const char secret[] = \"@\";",
        "VENDOR_TOKEN ?= \"@\"",
        "VENDOR_TOKEN ::= \"@\"",
        "VENDOR_TOKEN :::= \"@\"",
        "$vendorToken .= \"@\";",
        "if token == \"@\" {",
        "if (secret !== '@') {",
        "System.setProperty(\"VENDOR_TOKEN\", \"@\")",
        "conf.set('vendor.secret.key', '@')",
        "headers.set(\"X-Api-Key\",\"@\");",
        "VENDOR_KEY=@",
        "Ocp-Apim-Subscription-Key: @",
        "<add key=\"VendorToken\" value=\"@\"/>",
        "{\"name\": \"VENDOR_TOKEN\", \"value\": \"@\"}",
        "- name: VENDOR_SECRET\n  value: @",
        "ParameterKey=VendorSecret,ParameterValue=@",
        "<apiKey>@</apiKey>",
        "<Token type=\"plain\">@</Token>",
        "Cookie: lang=de; sessionid=@; theme=dark",
        "Set-Cookie: PHPSESSID=@; path=/",
        "curl -b JSESSIONID=@ https://a.example",
        "-token @ -verbose",
    ] {
        is_found(text, TOKEN, "generic-secret");
    }
}

#[test]
fn passwords_are_found_behind_their_names_in_every_language() {
    for text in [
        "password := \"@\"",
        "var dbPassword string = \"@\"",
        "assert password == \"@\"",
        "props.put(\"db.password\", \"@\");",
        "<entry name=\"db_password\" value=\"@\"/>",
        "{\"key\":\"ADMIN_PASSWORD\",\"value\":\"@\"}",
        "repositories { password '@' }",
        "ALTER ROLE app WITH PASSWORD '@';",
        "New-Thing -Password @ -Force",
        "ConvertTo-SecureString \"@\" -AsPlainText -Force",
        "my_pw: @",
    ] {
        is_found(text, PASSWORD, "password");
    }
}

#[test]
fn where_only_a_password_stands_a_word_is_one() {
    for text in [
        "Server=db.internal;Database=app;User Id=app;Password=@;Encrypt=true",
        "Driver={ODBC Driver 18};Server=db;Uid=app;Pwd=@;",
        "jdbc:postgresql://db:5432/app?user=app&password=@&ssl=true",
        "machine api.internal login deploy password @\n",
        "machine api.internal\n  login deploy\n  password @\n",
        "CREATE USER 'app'@'%' IDENTIFIED BY '@';",
        "new NetworkCredential(\"app\", \"@\");",
        "auth = HTTPBasicAuth('app', '@')",
        "curl -u app:@ https://a.internal/",
        "curl --user \"app:@\" https://a.internal/",
        "sshpass -p @ ssh app",
        "docker login -u app -p @ registry.internal",
    ] {
        is_found(
            &text.replace("'app'@'%'", "app"),
            "correcthorse",
            "password",
        );
    }
}

#[test]
fn users_and_passwords_in_base_64_are_found() {
    for text in [
        "{\"auths\":{\"registry.internal\":{\"auth\":\"@\"}}}",
        "//registry.internal/:_auth=@",
    ] {
        is_found(text, "YXBwOmNvcnJlY3Rob3JzZQ==", "generic-secret");
    }
}

#[test]
fn what_only_looks_like_a_secret_is_left_alone() {
    for text in [
        "connection = connect(host=HOST, user=USER, password=DB_PASSWORD)",
        "Server=db;User Id=app;Password=;Encrypt=true",
        "Server=db;User Id=app;Password=secret;Encrypt=true",
        "Server=db;User Id=app;Password={0};Encrypt=true",
        "Server=db;User Id=app;Password=${DB_PASSWORD};Encrypt=true",
        "os.getenv(\"DB_PASSWORD\", \"postgres\")",
        "fields = (\"password\", \"confirm\")",
        "columns identified by 'name' and 'path'",
        "words like ID8/Pw== IE9mZmVycw== of a tokenizer",
        "the login that a password will open",
        "docker run -u 1000:1000 --user www-data:www-data image",
        "session: the login page asks for a password or a token ",
        "{\"name\": \"password\", \"value\": \"\"}",
        "{\"name\": \"colour\", \"value\": \"q7Zk2mWv9Rt4Lx8Bn3Hc\"}",
        "CACHE_KEY=q7Zk2mWv9Rt4Lx8Bn3Hc",
        "TRACE_HEADER_KEY: \"Root=1-8a3c60f7-d188f8fa79d48a391a778fa6;Sampled=0\"",
        "key: q7Zk2mWv9Rt4Lx8Bn3Hc",
        "lang=de; sessionid=q7Zk2mWv9Rt4Lx8Bn3Hc",
        "private_key = rust_openssl.hpke.MLKEM768X25519PrivateKey",
        "def connect(password: str = None): ...",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}
