//! What names and places say, and what stands there.

mod arguments;
mod columns;
mod drawn;
mod sentences;
mod values;

use super::names::{PASSWORDS, SECRETS};
use crate::scanner::tests::everywhere;
use crate::tests::{found, is_found_however_cut};
use crate::{Detectors, scan};

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
        "network={\n  psk=\"@\"\n}",
        "config.set('db.password', '@')",
        "define( 'X', 1 ); define('DB_PASSWORD', '@');",
        "os.environ.setdefault(\"DB_PASSWORD\", \"@\")",
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
        "cd app && docker login -u \"$APP\" -p @ registry.internal",
        "{\"command\": \"helm registry login -u app -p @ registry.internal\"}",
        "$ sudo /usr/bin/mongosh --host db -u app -p @",
        "plink.exe -ssh app@host -pw @",
        "echo 'machine api.internal login deploy password @' > ~/.netrc",
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

/// Each has a value that would be found in another place.
#[test]
fn prose_commands_and_code_that_speak_of_passwords_are_left_alone() {
    for text in [
        // Where a password is spoken of.
        "Enter your login and password below",
        "Enter the default login and password below",
        "disable login with password authentication",
        "login or password incorrect",
        "the machine default login and password below",
        "on machine db1 use login root password hunter2!x",
        "You can pass `--depth=1` to git",
        "we pass 'x1=2&y3' and the passphrase \"hunter2!x\"",
        // Where `-p` is a port, a path or a name.
        "docker run --name mongo -p 27017:27017 mongo",
        "docker run --name mysql -p 3306:3306 mysql",
        "docker run -d --name mongo -p 27017 mongo",
        "apt-get install -y mysql-server && mkdir -p /var/run/mysqld",
        "docker login ghcr.io && docker run -p 8080:80 app",
        "docker login -u app; ssh -p 2222x host",
        "docker login -p 8080:80 app",
        "docker login -p /run/secrets/login app",
        "mysql -u root -p inventory",
        "sshpass -e ssh -p 2222x host",
        "sshpass -f file ssh -p 2222x host",
        "the mongo shell -p option5 of plink -pw option5",
        // Second arguments.
        "Route::get('forgot-password', 'Auth\\ForgotPasswordController@show')",
        "Route::put('password', 'Auth\\Password2Controller@show')",
        "label(\"password\", \"Password:\")",
        "register(\"password\", \"/auth/password\")",
        "set(\"password\", \"/auth/v1\")",
        "put(\"password\", \"Password1:\")",
        "add(\"password\", \"password.required!\")",
        "getField(\"password\", \"hunter2!x\")",
        // Names in code.
        "this.host=e.host;this.pass=e.pass;",
        "this.host=e.host;this.pass=e.pass||\"\";",
        "username=u;password=config.password",
        "host=h&&user=u;password=newPassword;",
        // Regular expressions.
        "token: \"^[A-Za-z0-9_-]{20,}$\"",
        "password: '^\\d+$'",
        "secret = \"^sk_[0-9a-f]{40}$@x!\"",
        "\"token\": \"^(tok1|key2)\\w{16,64}$@\"",
        // Public keys, and keys of tables and stores.
        "GPG_KEY=A035C8C19219BA821ECEA86B64E628F8D684696D",
        "ENV GPG_KEY=7169605F62C751356D054A26A821E680E5FA6305",
        "PGP_KEY=A035C8C19219BA821ECEA86B64E628F8D684696D",
        "KMS_KEY=q7Zk2mWv9Rt4Lx8Bn3Hc",
        "ROW_KEY=q7Zk2mWv9Rt4Lx8Bn3Hc",
        "S3_KEY=q7Zk2mWv9Rt4Lx8Bn3Hc",
        "ROUTING_KEY=q7Zk2mWv9Rt4Lx8Bn3Hc",
        "BUILD_KEY=q7Zk2mWv9Rt4Lx8Bn3Hc",
        "QUERY_HASH_KEY=q7Zk2mWv9Rt4Lx8Bn3Hc",
        "SSH_HOST_KEY=q7Zk2mWv9Rt4Lx8Bn3Hc",
    ] {
        assert_eq!(found(text), [], "{text}");
        is_found_however_cut(text);
    }
}

#[test]
fn what_says_more_than_key_is_a_secret_beside_such_a_part() {
    for name in [
        "S3_SECRET_KEY",
        "S3_ACCESS_KEY",
        "GPG_PRIVATE_KEY",
        "LOB_KEY",
    ] {
        is_found(&format!("{name}=@"), TOKEN, "generic-secret");
    }
}

/// Every name in every form: the sieve announces what is said, and so the answer is the same however the text is cut.
#[test]
fn names_say_the_same_in_every_form_however_the_text_is_cut() {
    let others = [
        "pw",
        "db_pw",
        "VENDOR_KEY",
        "GPG_KEY",
        "value",
        "login",
        "api key",
        "is",
    ];
    let names = PASSWORDS.iter().chain(&SECRETS).chain(&others);
    for (turn, name) in names.enumerate() {
        for (at, form) in [
            "# @",
            "# '@'",
            "#  '@'",
            "# ''@'",
            "#\t'@'",
            "#\n\"@\"",
            "my # is @",
            "# is \"@\"",
            "#=@",
            "# = \"@\"",
            "# => '@'",
            "# :::= `@`",
            "#: str = '@'",
            "\"#\": \"@\"",
            "#:\n  @",
            "<#>@</#>",
            "<# a=\"b\">@</#>",
            "a key=\"#\" value=\"@\"",
            "name: #\n  value: @",
            "--# @",
            "-# \"@\"",
            "(-# @",
            "\n-# @",
            "\"-#\" \"@\"",
            "x-# @",
            "#(\"@\")",
            "f(\"#\", \"@\")",
            "f( \"#\", \"@\")",
            "f(\n \"#\", \"@\")",
            "put(\"#\", \"@\")",
            "put( \"#\", \"@\")",
            "put(\n \"#\", \"@\")",
            "put('it`s #', '@')",
            "put('#',\n\"@\")",
            "put(('#','@'",
            "NetworkCredential(\"#\", '@')",
            "NetworkCredential( \"o'#\", '@')",
            "NetworkCredential(\"o'#\", \"@\")",
            "user # identified by '@'",
            "user # identified by  '@'",
            "user # identified by\n'@'",
            "ConvertTo-SecureString  \"@\" #",
            "machine # login # password @",
            "docker login -u # -p  @",
            "Authorization:  Basic @ #",
            "Authorization: Token  @ #",
            "curl -u #:@",
            "host=#;#=@;",
            "Cookie: #=@",
            "?#=@&",
        ]
        .into_iter()
        .enumerate()
        {
            let value = [TOKEN, PASSWORD, "--depth=1", "hunter2!x"][(turn + at) % 4];
            let text = form.replace('#', name).replace('@', value);
            let far = ["", "and so on ", "x y z "][at % 3].repeat(turn % 12);
            for text in [
                &text,
                &format!("{far}{text}"),
                &format!("{far}{} ", text.to_uppercase()),
            ] {
                assert_eq!(
                    scan(text, &Detectors::default()),
                    everywhere(text),
                    "{text}"
                );
            }
            is_found_however_cut(&format!("a {text} b"));
        }
    }
}
