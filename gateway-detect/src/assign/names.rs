//! Which names are those of secrets, and which values say that they are none.

use super::Said;
use super::endings::may_end_so;
use crate::place::LOOKBEHIND;

/// What a name says.
pub(super) fn names(name: &[u8]) -> Said {
    if name.eq_ignore_ascii_case(b"pw")
        || matches!(name, [.., b'_' | b'-', b'p' | b'P', b'w' | b'W'])
    {
        return Said::Password;
    }
    if name.len() < 3 || !may_end_so(name) {
        return Said::Nothing;
    }
    let mut plain = [0_u8; LOOKBEHIND];
    let mut length = 0;
    for byte in name.iter().filter(|byte| byte.is_ascii_alphabetic()) {
        plain[length] = byte.to_ascii_lowercase();
        length += 1;
    }
    let written = name;
    // `LOB_KEY`: a variable of the environment.
    let variable = name.ends_with(b"_KEY") && !name.iter().any(u8::is_ascii_lowercase);
    let is_other = || {
        let mut parts = written.split(|byte| *byte == b'_');
        parts.any(|part| NOT_PART.iter().any(|word| part == word.as_bytes()))
    };
    let name = &plain[..length];
    let among = |all: &[&str]| all.iter().any(|word| name.ends_with(word.as_bytes()));
    let holds = |all: &[&str]| {
        all.iter()
            .any(|word| name.windows(word.len()).any(|part| part == word.as_bytes()))
    };
    let said = if among(&PASSWORDS) {
        if name.ends_with(b"pass") && !is_pass(written)
            || name.ends_with(b"psk") && !is_key(written)
        {
            return Said::Nothing;
        }
        Said::Password
    } else if among(&PHRASES) {
        Said::Phrase
    } else if among(&SECRETS) || variable && !is_other() {
        Said::Secret
    } else if matches!(
        written,
        [.., b'_' | b'-', b'k', b'e', b'y'] | [.., b'a'..=b'z', b'K', b'e', b'y']
    ) {
        Said::Key
    } else {
        return Said::Nothing;
    };
    // `token_secret` has no tokens.
    let told = name.strip_suffix(b"secret").unwrap_or(name);
    let is_none = NOT_SECRET
        .iter()
        .any(|word| told.windows(word.len()).any(|part| part == word.as_bytes()));
    let key = variable || said == Said::Key;
    let part = |word: &&str| {
        name.windows(word.len())
            .any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
    };
    let is_part = said == Said::Key && NOT_PART.iter().any(part);
    if is_none || is_part || key && holds(&NOT_KEY) {
        Said::Nothing
    } else {
        said
    }
}

/// Whether a name that ends in `pass` is that of a password: a word of its own, or behind what logs in. `minipass`, `two_pass` and
/// `render_pass` are none.
fn is_pass(name: &[u8]) -> bool {
    let end = name.iter().rposition(u8::is_ascii_alphabetic).unwrap_or(0);
    let Some((before, [first, ..])) = name[..=end].split_at_checked((end + 1).saturating_sub(4))
    else {
        return false;
    };
    let word = before.iter().rposition(|byte| !byte.is_ascii_alphabetic());
    let apart = match before {
        [] => true,
        [.., last] if !last.is_ascii_alphanumeric() => true,
        [.., last] => last.is_ascii_lowercase() && first.is_ascii_uppercase(),
    };
    let part = &before[..before.len() - before.ends_with(b"_") as usize];
    let one = |all: &[&str]| {
        all.iter().any(|word| {
            part.len() >= word.len()
                && part[part.len() - word.len()..].eq_ignore_ascii_case(word.as_bytes())
        })
    };
    if apart {
        !one(&PASSES)
    } else {
        let whole = &before[word.map_or(0, |at| at + 1)..];
        USERS.iter().any(|user| {
            whole.len() >= user.len()
                && whole[whole.len() - user.len()..].eq_ignore_ascii_case(user.as_bytes())
        })
    }
}

/// Whether `psk` is a word of its own: suites of ciphers end in it.
fn is_key(name: &[u8]) -> bool {
    matches!(name, b"psk" | [.., b'_' | b'-', b'p', b's', b'k'])
}

/// What names of passwords end in.
pub(super) const PASSWORDS: [&str; 35] = [
    "psk",
    "password",
    "passwd",
    "passphrase",
    "passwort",
    "pwd",
    "pswd",
    "userpass",
    "dbpass",
    "pass",
    "userpw",
    "kennwort",
    "motdepasse",
    "passcode",
    "passe",
    "contrasena",
    "senha",
    "wachtwoord",
    "losenord",
    "haslo",
    "heslo",
    "salasana",
    "parola",
    "adgangskode",
    "sifre",
    "passord",
    "kodeord",
    "jelszo",
    "matkhau",
    "sandi",
    "contrasenya",
    "lozinka",
    "geslo",
    "parool",
    "slaptazodis",
];
/// What the words are called of which a wallet is made again.
pub(super) const PHRASES: [&str; 7] = [
    "mnemonic",
    "seedphrase",
    "recoveryphrase",
    "secretphrase",
    "backupphrase",
    "walletseed",
    "seedwords",
];
/// What stands right before `pass` where that is a password.
const USERS: [&str; 21] = [
    "key", "require", "master", "user", "db", "my", "root", "admin", "smtp", "ftp", "mail", "sql",
    "login", "web", "auth", "proxy", "ssh", "store", "account", "client", "server",
];
/// And where it is something that is done, given or gone through.
const PASSES: [&str; 16] = [
    "one",
    "two",
    "first",
    "second",
    "single",
    "multi",
    "render",
    "flags",
    "escape",
    "by",
    "no",
    "shader",
    "compiler",
    "optimization",
    "boarding",
    "test",
];
/// What names of other secrets end in.
pub(super) const SECRETS: [&str; 49] = [
    "secret",
    "token",
    "apikey",
    "secretkey",
    "accesskey",
    "privatekey",
    "authkey",
    "encryptionkey",
    "signingkey",
    "masterkey",
    "accountkey",
    "sharedkey",
    "servicekey",
    "clientkey",
    "consumerkey",
    "apitoken",
    "appkey",
    "webhookkey",
    "licensekey",
    "credential",
    "credentials",
    "keysecret",
    "secretvalue",
    "tokenvalue",
    "cookiesecret",
    "adminkey",
    "apisecret",
    "authorization",
    "appsecret",
    "auth",
    "subscriptionkey",
    "secretkeybase",
    "streamkey",
    "storagekey",
    "serverkey",
    "hmackey",
    "jwtkey",
    "deploykey",
    "recordkey",
    "integrationkey",
    "decryptionkey",
    "sessionkey",
    "unsealkey",
    "securitykey",
    "functionkey",
    "writekey",
    "creds",
    "secretstring",
    "apicode",
];
/// Variables of the environment that hold these are no secrets.
const NOT_KEY: [&str; 14] = [
    "cache",
    "partition",
    "primary",
    "foreign",
    "sort",
    "index",
    "group",
    "dedup",
    "event",
    "object",
    "lookup",
    "header",
    "trace",
    "span",
];
/// Nor, where no more is said, those that have one of these as a part: keys that are public, and keys of stores, tables and routes.
const NOT_PART: [&str; 21] = [
    "GPG",
    "PGP",
    "KMS",
    "ROW",
    "S3",
    "ROUTE",
    "ROUTING",
    "BUILD",
    "QUERY",
    "HASH",
    "HOST",
    "IMAGE",
    "COMMIT",
    "CHECKSUM",
    "FINGERPRINT",
    "ARTIFACT",
    "FILE",
    "BLOB",
    "PATH",
    "SHARD",
    "MESSAGE",
];
/// Names that hold these are of something else.
const NOT_SECRET: [&str; 20] = [
    "tokenizer",
    "tokens",
    "public",
    "nexttoken",
    "pagetoken",
    "continuation",
    "cursor",
    "csrf",
    "tokentype",
    "requesttoken",
    "idempotency",
    "cancel",
    "synctoken",
    "hash",
    "bypass",
    "compass",
    "reisepass",
    "maxtoken",
    "tokencount",
    "impasse",
];
/// Values that hold these are none.
pub(super) const PLACEHOLDERS: [&str; 27] = [
    "goes-here",
    "goes_here",
    "example",
    "placeholder",
    "changeme",
    "change_me",
    "change-me",
    "your_",
    "your-",
    "yourpass",
    "yourtoken",
    "yourkey",
    "yoursecret",
    "<your",
    "xxxx",
    "insert",
    "redacted",
    "replace",
    "dummy",
    "process.env",
    "os.environ",
    "getenv",
    "todo",
    "undefined",
    "hmac-sha",
    "${",
    "{{",
];
