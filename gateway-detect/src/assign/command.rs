//! Passwords in commands and in netrcs, where `-p` and `password` say so only in their places.
//!
//! In: the text up to such a word. Out: whether it is the place of a password. `-p` is a port or a path of most programs, and a login and a
//! password stand in much prose: the program has to begin the command, and the machine the entry.

use super::Said;

/// Whether this option is that of a password: in a simple command whose program has it. `complete` says that nothing before is missing.
pub(super) fn takes_password(front: &[u8], option: &[u8], complete: bool) -> bool {
    commands(front, complete).any(|command| has_option(command, option))
}

/// The simple commands that may go on behind this text: from the last sign that ends one, and from each quote behind that.
pub(super) fn commands(front: &[u8], complete: bool) -> impl Iterator<Item = &[u8]> {
    let hard = front.iter().rposition(|byte| b"&|;\n".contains(byte));
    let command = &front[hard.map_or(0, |at| at + 1)..];
    let quotes = command
        .iter()
        .enumerate()
        .filter(|(_, byte)| b"\"'`(".contains(byte));
    let inside = quotes.map(|(at, _)| &command[at + 1..]);
    (hard.is_some() || complete)
        .then_some(command)
        .into_iter()
        .chain(inside.filter(|inside| !inside.starts_with(b" ")))
}

/// The words of a command from its program on, without what may stand before that: a prompt, `sudo`, variables.
pub(super) fn from_program(command: &[u8]) -> impl Iterator<Item = &[u8]> {
    let variable = |word: &[u8]| {
        let name = word.split(|byte| *byte == b'=').next().unwrap_or_default();
        name.len() < word.len() && name.iter().all(|byte| is_upper(*byte))
    };
    words(command).skip_while(move |word| PROMPTS.contains(word) || variable(word))
}

fn is_upper(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_'
}

/// The name of a program as lists have it.
pub(super) fn named(program: &[u8]) -> Vec<u8> {
    bare(program).to_ascii_lowercase()
}

/// Whether a program is one of these, which are in small letters.
pub(super) fn is_one(program: &[u8], all: &[&[u8]]) -> bool {
    let name = bare(program);
    all.iter().any(|one| name.eq_ignore_ascii_case(one))
}

/// The name of a program, without its folder and what Windows ends it with.
fn bare(program: &[u8]) -> &[u8] {
    let name = base(program);
    match name.split_last_chunk::<4>() {
        Some((front, end)) if end.eq_ignore_ascii_case(b".exe") => front,
        _ => name,
    }
}

fn has_option(command: &[u8], option: &[u8]) -> bool {
    let mut words = from_program(command);
    let Some(program) = words.next() else {
        return false;
    };
    let program = named(program);
    let user = |word: &[u8]| word == b"-u" || word == b"--username";
    match (program.as_slice(), option) {
        // Behind it stands the command of another program.
        (b"sshpass", b"-p") => words.all(|word| word.starts_with(b"-")),
        (b"psexec" | b"psexec64" | b"mongo" | b"mongosh" | b"mongodump", b"-p") => words.any(user),
        (b"plink" | b"pscp" | b"psftp" | b"putty", b"-pw") => true,
        (program, b"-p") if CLIENTS.contains(&program) => match words.next() {
            Some(b"login") => true,
            Some(b"registry" | b"auth") => words.next() == Some(b"login"),
            _ => false,
        },
        _ => OWN.iter().any(|(own, programs)| {
            let mut words = self::words(command);
            option == *own && words.any(|word| programs.contains(&base(word)))
        }),
    }
}

/// Whether a password may stand right behind this option of one letter: `mysql -psecret`.
pub(super) fn takes_attached(front: &[u8], complete: bool) -> bool {
    let Some(front) = front.strip_suffix(b" ") else {
        return false;
    };
    let begin = front.iter().rposition(|byte| b"&|;\n".contains(byte));
    let command = &front[begin.map_or(0, |at| at + 1)..];
    let mut words = words(command);
    (begin.is_some() || complete) && words.any(|word| ATTACHED.contains(&base(word)))
}

/// The name of a program, without its folder and a quote before it.
pub(super) fn base(word: &[u8]) -> &[u8] {
    let from = word.iter().rposition(|byte| b"/\\\"'`(".contains(byte));
    &word[from.map_or(0, |at| at + 1)..]
}

/// What the other fields of a line of a password file say of the last: `host:5432:database:user:`. Behind a port that is not usual for
/// databases, only what is drawn counts.
pub(super) fn pgpass(before: &[u8]) -> Said {
    let mut colons = 0;
    let begin = before.iter().rposition(|byte| {
        colons += (*byte == b':') as u32;
        byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'`')
    });
    if colons != 3 {
        return Said::Nothing;
    }
    let mut fields = before[begin.map_or(0, |at| at + 1)..].split(|byte| *byte == b':');
    let (host, port) = (fields.next(), fields.next());
    let host = host.is_some_and(|host| {
        host == b"*" || host == b"localhost" || host.contains(&b'.') && !host.contains(&b'/')
    });
    if !host {
        return Said::Nothing;
    }
    let port = port.unwrap_or_default();
    let usual = port == b"*" || PORTS.contains(&port);
    let other = (4..=5).contains(&port.len()) && port.iter().all(u8::is_ascii_digit);
    let (database, user) = (fields.next(), fields.next());
    let named = |field: Option<&[u8]>| field.is_some_and(|field| !field.is_empty());
    match named(database) && named(user) && fields.next().is_none() {
        true if usual => Said::Password,
        true if other => Said::Drawn,
        _ => Said::Nothing,
    }
}

/// Whether an entry of a netrc goes on behind this text with a password: `machine … login …`, from the beginning of a line.
pub(super) fn is_netrc(front: &[u8]) -> bool {
    let (front, user) = last(front);
    let (front, login) = last(front);
    let (front, host) = last(front);
    let (front, machine) = last(front);
    let begins = front.trim_ascii_end();
    login == b"login"
        && machine == b"machine"
        && !host.is_empty()
        && !matches!(user, b"and" | b"or" | b"with")
        && (begins.is_empty()
            || front[begins.len()..].contains(&b'\n')
            || matches!(front, [.., b'"' | b'\'' | b'`']))
}

/// The last word, and what stands before it.
pub(super) fn last(text: &[u8]) -> (&[u8], &[u8]) {
    let text = text.trim_ascii_end();
    let before = text
        .iter()
        .rposition(|byte| !byte.is_ascii_graphic() || b"\"'`".contains(byte));
    text.split_at(before.map_or(0, |at| at + 1))
}

pub(super) fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
}

/// Where PostgreSQL and what speaks as it does listen.
const PORTS: [&[u8]; 6] = [b"5432", b"5433", b"6432", b"6543", b"25060", b"26257"];
/// What may stand before a command.
const PROMPTS: [&[u8]; 7] = [b"$", b"#", b">", b"-", b"sudo", b"run:", b"RUN"];
/// Options that are those of a password in these programs alone, wherever the program stands in its command.
const OWN: [(&[u8], &[&[u8]]); 8] = [
    (b"-a", &[b"redis-cli", b"valkey-cli", b"keydb-cli"]),
    (
        b"-w",
        &[
            b"ldapsearch",
            b"ldapadd",
            b"ldapmodify",
            b"ldapdelete",
            b"ldapwhoami",
            b"ldappasswd",
            b"security",
        ],
    ),
    (
        b"-P",
        &[
            b"sqlcmd",
            b"bcp",
            b"mosquitto_pub",
            b"mosquitto_sub",
            b"ipmitool",
            b"zip",
            b"unzip",
        ],
    ),
    (
        b"-p",
        &[
            b"cqlsh",
            b"rdesktop",
            b"ncftpput",
            b"ncftpget",
            b"crackmapexec",
            b"netexec",
            b"nxc",
            b"evil-winrm",
            b"hydra",
            b"rabbitmqadmin",
            b"unlock-keychain",
        ],
    ),
    (b"-N", &[b"ssh-keygen"]),
    (b"-k", &[b"enc"]),
    (b"-A", &SNMP),
    (b"-X", &SNMP),
];
const SNMP: [&[u8]; 6] = [
    b"snmpget",
    b"snmpwalk",
    b"snmpset",
    b"snmpgetnext",
    b"snmpbulkwalk",
    b"snmpbulkget",
];
/// The programs that have a password right behind `-p`.
const ATTACHED: [&[u8]; 12] = [
    b"mysql",
    b"mysqldump",
    b"mysqladmin",
    b"mysqlimport",
    b"mysqlcheck",
    b"mysqlsh",
    b"mariadb",
    b"mariadb-dump",
    b"mariadb-admin",
    b"mycli",
    b"7z",
    b"sshpass",
];
/// The programs that log in with a user and a password.
const CLIENTS: [&[u8]; 11] = [
    b"docker", b"podman", b"nerdctl", b"buildah", b"skopeo", b"helm", b"oras", b"crane", b"az",
    b"cf", b"oc",
];
