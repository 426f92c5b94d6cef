//! Passwords of many signs, and variables that commands set.

use super::{PASSWORD, is_found};
use crate::tests::{found, is_found_however_cut};

#[test]
fn a_variable_is_set_by_the_commands_that_do_so() {
    let hex = "b74d82f07543668e721c29ad3f44d6d905f9aaf36d485ccf";
    for text in [
        "ENV APP_SECRET @\n",
        "setx APP_SECRET \"@\"",
        "set -x APP_SECRET @",
    ] {
        is_found(text, hex, "generic-secret");
    }
    for text in [
        "ENV DB_PASSWORD @\n",
        "setx DB_PASSWORD \"@\"",
        "[Environment]::SetEnvironmentVariable(\"DB_PASSWORD\", \"@\", \"User\")",
        "INSERT INTO settings (name, value) VALUES ('DB_PASSWORD', '@');",
        "PGPASSWORD=@ psql",
    ] {
        is_found(text, PASSWORD, "password");
    }
    is_found(
        "os.Setenv(\"DB_PASSWORD\", \"@\")",
        "66fSbL#r04nz/x",
        "password",
    );
    let token = "/BtJKDbwX5+bvYL+gVBGScHKnFls+kDsCJs+QPqRzTu=";
    is_found("SECRET_KEY=@\n", token, "generic-secret");
    is_found(
        "{\"appSecret\": \"@\"}",
        "b7c568a3980772468b87279e7e0632ffff688b96592dd833",
        "generic-secret",
    );
    is_found("PGPASSWORD=@ psql -h db", "correcthorse", "password");
    for text in [
        "the APP_SECRET b74d82f07543668e721c29ad3f44d6d905f9aaf36d485ccf",
        "ENV APP_SECRET of the app",
        "api_token: \"a1b2aaaaaaaaaaaaaaaaaaaaaaaa\"",
        "kRSA:kPSK:-aDSS:-3DES:!DES",
        "const AuthModeWPAPSK: NDIS_802_11_MODE = 4",
        "token = \"MicrosoftAspNetCoreComponentsWeb2View\"",
        "api_key: your-key-goes-here1",
    ] {
        assert_eq!(found(text), [], "{text}");
        is_found_however_cut(text);
    }
}

#[test]
fn what_is_drawn_has_brackets_and_begins_with_any_sign() {
    for value in [
        "FS%%UcJg)9Akd6",
        "^u&Mt3&I52",
        "$7eVq!2mKx",
        "%9Jd+aP4s@",
        "@1Gk%x7Lm",
    ] {
        for text in [
            "password: \"@\"",
            "{\"password\": \"@\"}",
            "DB_PASSWORD=@\n",
            "my password is @, please",
            "check the password @ for me",
        ] {
            let text = text.replace('@', value);
            assert_eq!(
                found(&text),
                [("password".to_owned(), value.to_owned())],
                "{text}"
            );
            is_found_however_cut(&text);
        }
    }
    for text in [
        "login(user, password=request.form(Key1))",
        "password = Fernet(Key1)",
        "password: \"getPassword(Id1)\"",
        "password: \"%(Db1Pass)s\"",
        "password: \"#{Cfg1.Pass!}\"",
        "password: $Db1Pass",
        "password: \"@Db1Pass\"",
        "password: \"%Db1Pass%\"",
        "the password &Pass1; of",
        "(password=Abc1)",
    ] {
        let all = found(text);
        assert!(
            all.iter().all(|(_, value)| value == "Abc1"),
            "{text}: {all:?}"
        );
        is_found_however_cut(text);
    }
}
