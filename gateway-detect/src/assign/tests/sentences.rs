//! Passwords and tokens as sentences, documents and configurations have them.

use super::{PASSWORD, TOKEN, is_found};
use crate::tests::{found, is_found_however_cut};

const DRAWN: &str = "Kx92mzLq38";

#[test]
fn a_sentence_says_what_its_value_is_for() {
    for text in [
        "the api key for stripe is @",
        "API key for the weather service is @.",
        "api key @",
        "the client secret @",
        "@ is the api key",
        "@ is my API key for the weather service",
        "Here it is:\n`@` is the token",
        "use @ as the api key",
    ] {
        is_found(text, TOKEN, "generic-secret");
    }
    for value in [DRAWN, "hunter2!x"] {
        for text in [
            "The password for the staging db is @",
            "the root password on hangar is @",
            "use @ as the password",
            "Use `@` as password.",
            "use \"@\" as my new password",
            "creds ada:@",
            "password -> @",
            "Please set the password to @ on the box",
            "I have reset your root password to \"@\".",
            "change the password for ada from old to @",
            "changed the db password to `@`",
            "Your temporary password is: @",
            "password - @",
        ] {
            is_found(text, value, "password");
        }
    }
    is_found("set the password to @", "NmUqQoj*anIF", "password");
    is_found("password (@)", DRAWN, "password");
    for text in [
        "the password for it is wrong",
        "the password for this account is base64-encoded",
        "the api key for stripe is missing",
        "the key for the map is q7Zk2mWv9Rt4Lx8Bn3Hc",
        "Send the password for ada. The build is Kx92mzLq38",
        "use Kx92mzLq38 as the name",
        "use sha256sum as password",
        "use it as the password",
        "q7Zk2mWv9Rt4Lx8Bn3Hc is the commit",
        "q7Zk2mWv9Rt4Lx8Bn3Hc is a key",
        "the api key function_name_2",
        "password - at least 8",
        "password (optional)",
        "set the password to User*Name",
        "set the password to something long",
        "set the password to expire in 30 days",
        "change the password from the login to the profile-page2",
        "reset the password. Go to Kx92mzLq38",
        "the password to Kx92mzLq38",
        "The password is: wrong",
    ] {
        assert_eq!(found(text), [], "{text}");
        is_found_however_cut(text);
    }
}

#[test]
fn documents_have_names_beside_their_values() {
    for text in [
        "<property><name>db.password</name><value>@</value></property>",
        "<name>javax.jdo.option.ConnectionPassword</name>\n  <value>@</value>",
        "<key>password</key>\n<string>@</string>",
        "{\"name\": \"DB_PASSWORD\", \"type\": \"plain\", \"value\": \"@\"}",
        "{\"label\":\"password\",\"value\":\"@\"}",
        "{\"value\": \"@\", \"name\": \"DB_PASSWORD\"}",
        "{\"value\":\"@\",\"key\":\"password\"}",
        "<tr><th>Password</th><td>@</td></tr>",
        "<dt>Password</dt>\n<dd>@</dd>",
        "<password><![CDATA[@]]></password>",
        "<value name=\"password\"><![CDATA[@]]></value>",
        "password: |\n  @\n",
        "password: >-\n  @\n",
        "db:\n  password: |-\n    @\n",
    ] {
        is_found(text, PASSWORD, "password");
    }
    is_found(
        "- name: DB_PASSWORD\n  value: @",
        "correcthorse",
        "password",
    );
    is_found("- name: FOO_SECRET\n  value: @", TOKEN, "generic-secret");
    is_found("<apiKey><![CDATA[@]]></apiKey>", TOKEN, "generic-secret");
    for text in [
        "<name>db.user</name><value>tr0ub4dor!Ex</value>",
        "<name>db.password</name><other>tr0ub4dor!Ex</other>",
        "<name>db.password</name><x/><value>tr0ub4dor!Ex</value>",
        "<th>Colour</th><td>tr0ub4dor!Ex</td>",
        "<td>Password</td><td>Forgotten</td>",
        "<note><![CDATA[tr0ub4dor!Ex]]></note>",
        "note: |\n  tr0ub4dor!Ex\n",
        "password: |\n  The one that was sent\n",
        "- name: DB_USER\n  value: correcthorse",
        "{\"value\": \"tr0ub4dor!Ex\", \"name\": \"colour\"}",
        "{\"value\": \"tr0ub4dor!Ex\", \"type\": \"password\"}",
        "{\"value\": \"tr0ub4dor!Ex\"}",
        "{\"label\":\"colour\",\"value\":\"tr0ub4dor!Ex\"}",
    ] {
        assert_eq!(found(text), [], "{text}");
        is_found_however_cut(text);
    }
}

#[test]
fn rules_and_addresses_are_no_passwords() {
    for text in [
        "**Password:** min8chars",
        "password: 8-64characters",
        "a.b:8443:path:to:resource1",
        "db.internal:9000:a:b:step-2",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
    is_found("db.internal:8443:app:ada:@", DRAWN, "password");
    is_found("db.internal:5433:app:ada:@", PASSWORD, "password");
}
