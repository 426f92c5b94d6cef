//! Values that are passwords and tokens by where they stand and how they look, and values that are none.

use super::{PASSWORD, TOKEN, is_found};
use crate::string_named;
use crate::tests::{found, is_found_however_cut};

#[test]
fn passwords_are_found_behind_words_of_other_languages() {
    for name in [
        "contraseña",
        "senha",
        "mot de passe ",
        "Wachtwoord",
        "lösenord",
        "hasło",
        "parola",
        "Пароль",
        "密码",
        "パスワード",
        "비밀번호",
    ] {
        is_found(&format!("{name}: @"), PASSWORD, "password");
        let name = name.trim_end();
        is_found(&format!("{name}=@"), PASSWORD, "password");
    }
    for text in ["in the impasse: tr0ub4dor!Ex", "hasła: tr0ub4dor!Ex"] {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn passwords_are_found_in_sentences_and_labels_of_other_languages() {
    for text in [
        "Das Passwort ist @.",
        "le mot de passe est @",
        "la contraseña es @",
        "a senha é @ mesmo",
        "**Password:** @",
        "**Passwort**: @",
        "| Password | @ |\n",
        "| User | ada |\n| **Password** | @ |\n",
        "use password @ there",
        "<property name=\"db.password\">@</property>",
        "<entry key=\"password\">@</entry>",
        "variable \"db_password\" {\n  type = string\n  default = \"@\"\n}",
        "db.internal.example:5432:app:ada:@",
        "*:*:*:ada:@\n",
    ] {
        is_found(text, PASSWORD_DRAWN, "password");
    }
    is_found("<password>@</password>", "tr0&amp;b4d&lt;Ex", "password");
    for name in [
        "clé API : ",
        "clave de API: ",
        "API-Schlüssel: ",
        "chiave API = ",
        "APIキー: ",
        "密钥: ",
        "use token ",
        "\"Authorization\": f\"Token ",
        "**API key**: ",
    ] {
        let kind = match name.contains("Auth") {
            true => "bearer-token",
            false => "generic-secret",
        };
        is_found(&format!("{name}@"), "Kx92mzLq38aQ7rTzP0wE", kind);
    }
    for text in [
        "Das Passwort ist falsch.",
        "the password Base64 has",
        "echo $password | sha256sum |",
        "| Password | Required |",
        "the token 0a4d55a8d778e5022fab701977c5d840bbc486d0 is a hash",
        "# PKCS #12 token\n\npkcs_9_at_userPKCS12 = 1",
        "src/main.c:1204:5:error:tr0ub4dor",
        "10:30:45:12:tr0ub4dor",
        "variable \"db_password\" {}\nvariable \"other\" { default = \"tr0ub4dor!Ex\" }",
        "<property name=\"password\">${db.password1}</property>",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn programs_have_passwords_in_their_options() {
    for text in [
        "mysql -u root -p@ shop",
        "docker exec db mysqldump -uroot -p'@' shop",
        "sshpass -p@ ssh ada@hangar",
        "7z x -p@ a.7z",
        "redis-cli -h cache -a @ ping",
        "kubectl exec c -- redis-cli -a '@'",
        "ldapsearch -D cn=admin -w @ -b dc=x",
        "sqlcmd -S hangar -U sa -P @",
    ] {
        is_found(text, PASSWORD_DRAWN, "password");
    }
    for text in [
        "mysql -u root -p shop2024",
        "mysql -u root -p\"$MYSQL_PW1\"",
        "docker run --name mysql -p3306:3306 mysql",
        "docker run -p8080:80 web",
        "ls -a tr0ub4dorEx9",
        "grep -w tr0ub4dorEx9 words",
        "mkdir -ptr0ub4dorEx9",
        "redis-cli -a \"$REDIS_PW1\"",
        "redis-cli -a\n**Note1:** tr0ub4dor",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn the_words_of_a_wallet_are_found_behind_their_name() {
    let words = "legal winner thank year wave sausage worth useful legal winner thank yellow";
    for text in [
        "mnemonic: @\n",
        "MNEMONIC=\"@\"",
        "my seed phrase is @.",
        "{\"recovery_phrase\": \"@\"}",
    ] {
        is_found(text, words, "seed-phrase");
    }
    for text in [
        "mnemonic: richard york gave battle in vain",
        "the seed phrase is made of twelve words that nobody else may ever read or write down",
        "mnemonic: legal winner thank year wave sausage worth useful legal winner thank",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}

const PASSWORD_DRAWN: &str = "Kx92mzLq38";

#[test]
fn a_word_is_a_password_behind_its_variable() {
    for text in [
        "DB_PASSWORD=@\n",
        "docker run -e MYSQL_ROOT_PASSWORD=@ mysql",
        "{\"env\": [\"APP_PASS=@\"]}",
    ] {
        is_found(text, "correcthorse", "password");
    }
    for text in [
        "POSTGRES_PASSWORD=postgres",
        "DB_PASSWORD=dbpassword",
        "DB_PASSWORD=changeme",
        "db_password=correcthorse",
        "PASSWORD=correcthorse",
        "DB_PASSWORD = correcthorse",
        "RENDER_PASS=correcthorse",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn the_password_of_an_address_goes_on_to_its_last_sign() {
    for (text, password) in [
        (
            "smtps://ada@hangar.example:@@mail.hangar.example:587",
            "Gr4een!x",
        ),
        ("postgres://app:@@db.internal/app", "p4ss@h0rse"),
        ("amqp://app:@@mq.internal", "p4ss%40h0rse"),
    ] {
        let text = text.replacen("@@", &format!("{password}@"), 1);
        let all = found(&text);
        let expected = ("connection-string".to_owned(), password.to_owned());
        assert!(all.contains(&expected), "{text} has {all:?}");
        is_found_however_cut(&text);
    }
    for text in [
        "https://hangar.example:8443?to=ada",
        "postgres://db.internal:5432#a",
        "see http://a.example:80 and mail to the team",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn types_paths_and_versions_are_no_passwords() {
    for text in [
        "compress_two_pass::store_meta_block(x)",
        "fn open(password: *const u8, length: usize)",
        "pub PasswordHash: sys::core::PCWSTR2,",
        "const WRONG_PASSWORD: WIN32_ERROR = 1323;",
        "t.pass(\"tests/no_std/one.rs\");",
        "\"minipass\": \"^7.0.4\"",
        "\"two_pass\": \"gzip-9\"",
        "PWD=/home/app2/src",
        "OLDPWD: '/srv/app2/build'",
        "a.Minipass=a.isWritable2=a.isReadable=void 0",
        "Auth::Password => \"caching_sha2_password\"",
        "printf(&quot;Password is right.&quot;)",
        "password = \"user_%d\" % number",
        "password: !vault |",
        "Authorization: AWS4-HMAC-SHA256 Credential=",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn shorter_tokens_have_all_kinds_of_characters() {
    for text in ["vendor_secret = \"@\"", "--token @", "VENDOR_CREDS=@"] {
        is_found(text, "K2u6mFw8wJ0s", "generic-secret");
    }
    for text in [
        "token = \"ItemValue12\"",
        "secret: Version20Beta1",
        "token: a1b2c3d4e5f6",
        "token = \"a1-B2-c3-D4x\"",
        "max_tokens = K2u6mFw8wJ0s",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
    is_found("token-secret: @", "f395accd245ae53d", "generic-secret");
}

#[test]
fn a_token_may_be_the_user_of_an_address() {
    for text in [
        "git clone https://@@code.internal/app.git",
        "GIT_URL=https://@@code.internal/app",
    ] {
        let token = "8f3b2c9d41e07a65b8f3b2c9d41e07a65b8f3b2c";
        let text = text.replacen("@@", &format!("{token}@"), 1);
        assert_eq!(
            found(&text),
            [("url-password".to_owned(), token.to_owned())],
            "{text}"
        );
        is_found_however_cut(&text);
    }
    for text in [
        "ssh://git@code.internal/app.git",
        "https://ada@code.internal.example.com/app",
        "postgres://reporting-service-account@db.internal/app",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn what_is_called_some_key_is_one_if_it_is_long_and_random() {
    for text in ["vendor_key: \"@\"", "vendorKey = '@'", "x-vendor-key: @"] {
        let text = text.replace('@', "q7Zk2mWv9Rt4Lx8Bn3Hc5Jp6");
        assert_eq!(found(&text)[0].0, "generic-secret", "{text}");
        is_found_however_cut(&text);
    }
    for text in [
        "vendor_key: q7Zk2mWv9Rt4Lx8Bn3Hc",
        "key: q7Zk2mWv9Rt4Lx8Bn3Hc5Jp6",
        "cache_key: q7Zk2mWv9Rt4Lx8Bn3Hc5Jp6",
        "objectKey = 'q7Zk2mWv9Rt4Lx8Bn3Hc5Jp6'",
        "sort-key: q7Zk2mWv9Rt4Lx8Bn3Hc5Jp6",
        "publicKey: q7Zk2mWv9Rt4Lx8Bn3Hc5Jp6",
        "monkey: q7Zk2mWv9Rt4Lx8Bn3Hc5Jp6",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn a_string_behind_its_name_is_all_of_a_password() {
    for value in [
        "Pa55w.rd2026",
        "my.Secret9",
        "Gr8,Passw0rd!",
        "ab;cd9!Xq",
        "Xk9<mQ2>vL7",
        "pass'w0rd!x",
        "kq\"w0rd!x",
        "Passwörter1",
        "Tr0ub4dor&3 x",
    ] {
        let text = string_named("password") + value;
        assert_eq!(found(&text), [("password".into(), value.into())], "{text}");
        is_found_however_cut(&text);
    }
    let text = string_named("token") + "ab;8YibT2qLw9ZrKx4Vn";
    assert_eq!(found(&text)[0].1, "ab;8YibT2qLw9ZrKx4Vn");
    is_found_however_cut(&text);
    let text = string_named("password") + "Winter77! is what Ada has chosen for it";
    assert_eq!(found(&text)[0].1, "Winter77!");
    is_found_however_cut(&text);
    for value in [
        "Contraseña",
        "Hasło",
        "Forgot?",
        "Passwort!",
        "Must have 8 letters",
        "",
    ] {
        let text = string_named("password") + value;
        assert_eq!(found(&text), [], "{text}");
    }
}

#[test]
fn where_a_secret_is_kept_is_none() {
    for value in [
        "op://Prod/db/password1",
        "vault:secret/data/app2#pw",
        "ref+vault://secret/app2#/pw",
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:app-Ab12Cd",
        "env:DB_PASS1",
        "ssm:/prod/db2/password",
        "file:///run/secrets/db2",
        "keyring:app2",
        "gcp-sm://app2/db",
    ] {
        for text in [
            format!("password: {value}"),
            format!("password = \"{value}\""),
            format!("DB_PASSWORD={value}"),
            format!("api_token: '{value}'"),
            string_named("password") + value,
        ] {
            assert_eq!(found(&text), [], "{text}");
        }
    }
}

#[test]
fn signs_of_names_are_in_passwords_where_nothing_else_stands() {
    for text in [
        "Server=db;Password=@;",
        "DB_PASSWORD=@\n",
        "export PGPASSWORD=@\n",
    ] {
        is_found(text, "vR3.kT9.pQ2", "password");
    }
    for text in [
        "GRANT ALL ON app.* TO app IDENTIFIED BY '@';",
        "CREATE USER app IDENTIFIED BY \"@\";",
        "ALTER USER app IDENTIFIED WITH native_hash BY '@';",
    ] {
        is_found(text, "Winter77", "password");
    }
    for text in [
        "Server=db;Password=settings.db.password;",
        "DB_PASSWORD=settings.db.password",
        "rows identified by 'Winter77'",
        "PASS=true",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn words_of_more_languages_announce_passwords_and_tokens() {
    for name in [
        "passord",
        "kodeord",
        "jelszó",
        "mật khẩu",
        "كلمة المرور",
        "รหัสผ่าน",
        "पासवर्ड",
        "συνθηματικό",
        "סיסמא",
        "парола",
        "口令",
        "암호",
        "رمز عبور",
    ] {
        is_found(&format!("{name}: @"), PASSWORD, "password");
    }
    for name in [
        "токен",
        "令牌",
        "トークン",
        "토큰",
        "مفتاح API",
        "API anahtarı",
        "ключ доступа",
    ] {
        is_found(&format!("{name}: @"), TOKEN, "generic-secret");
    }
    for text in ["jelszavak: tr0ub4dor!Ex", "слово: q7Zk2mWv9Rt4Lx8Bn3Hc"] {
        assert_eq!(found(text), [], "{text}");
    }
}
