//! Passwords that are arguments of programs: `htpasswd -b file user …`, `net user name …`, `smbclient -U user%…`, `mysql --password=…`,
//! `echo user:… | chpasswd`.
//!
//! In: the text up to a place. Out: whether the command there has a password at this place. The program has to begin the command. What
//! stands right before such an argument may be anything: it is planned where an option or the word that leads to it ends, so that the
//! [sieve](crate::sieve) has to announce no more than that.

use super::Later;
use super::command::{commands, from_program, is_one, named, words};
use super::said::single;
use crate::place::{LOOKBEHIND, Place, last};

/// Whether an argument may be planned here: behind an option or a word that leads to one, of a program that has such an argument.
#[inline]
pub(super) fn leads(behind: &[u8]) -> bool {
    let [front @ .., b' '] = behind else {
        return false;
    };
    let word = single(front);
    if !matches!(
        word,
        [b'-', _, ..] | [.., b's', b'e', b'r'] | [.., b'o', b'r', b'd'] | [.., b'l', b'u', b's']
    ) {
        return false;
    }
    let leading = word[0] == b'-' || LEADING.contains(&word);
    leading && is_of(front, behind.len() < LOOKBEHIND, &ARGUMENTS)
}

/// Where the password of the command stands that goes on here.
pub(super) fn plan(place: Place<'_>) -> Later {
    let ahead = place.ahead();
    let ends = |byte: &u8| b"\n&|;".contains(byte);
    let line = ahead.iter().take(FARTHEST).position(ends);
    let length = line.unwrap_or(ahead.len().min(FARTHEST));
    for at in 1..length {
        if b"\"'".contains(&ahead[at]) {
            continue;
        }
        let text = &place.text[..place.at + at];
        if b" %,/\"'".contains(&ahead[at - 1]) && argument(last(text, LOOKBEHIND)) {
            return Later::At(at);
        }
    }
    if line.is_none() && ahead.len() < FARTHEST && !place.whole {
        Later::More
    } else {
        Later::No
    }
}

/// Whether an argument that is a password begins behind this text.
pub(super) fn argument(behind: &[u8]) -> bool {
    let complete = behind.len() < LOOKBEHIND;
    let front = match behind {
        [front @ .., b' ', b'"' | b'\''] => &behind[..=front.len()],
        front => front,
    };
    commands(front, complete).any(has_argument)
}

/// Whether the command is the one for users of Windows.
pub(super) fn is_net(behind: &[u8]) -> bool {
    is_of(behind, behind.len() < LOOKBEHIND, &[b"net", b"net1"])
}

fn has_argument(command: &[u8]) -> bool {
    let apart = command.last() == Some(&b' ');
    let Some(program) = from_program(command).next().map(named) else {
        return false;
    };
    if !ARGUMENTS.contains(&program.as_slice()) {
        return false;
    }
    let words: Vec<&[u8]> = from_program(command).skip(1).collect();
    match (program.as_slice(), words.as_slice()) {
        (b"htpasswd" | b"mosquitto_passwd", words) => {
            let has = |letter: u8| {
                let mut options = words.iter().filter(|word| word.starts_with(b"-"));
                options.any(|word| !word.starts_with(b"--") && word.contains(&letter))
            };
            let plain = words.iter().filter(|word| !word.starts_with(b"-")).count();
            let costs = words.contains(&&b"-C"[..]) as usize;
            apart && has(b'b') && plain == 2 - has(b'n') as usize + costs
        }
        (b"net" | b"net1", [b"user", name]) => apart && !name.starts_with(b"/"),
        (b"rabbitmqctl", [.., b"add_user" | b"change_password", _]) => apart,
        (b"lftp", [.., b"-u", user]) => !apart && user.ends_with(b","),
        (b"sqlplus", [options @ .., logon]) => {
            let user = logon.strip_suffix(b"/").unwrap_or_default();
            let user = user.strip_prefix(b"\"").unwrap_or(user);
            let plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
            let options = options.iter().all(|word| word.starts_with(b"-"));
            options && !user.is_empty() && user.iter().all(plain) && !apart
        }
        (_, [.., option, user]) if SAMBA.contains(&program.as_slice()) => {
            let known = matches!(*option, b"-U" | b"--user");
            known && user.ends_with(b"%") && user.len() > 1 && !apart
        }
        _ => false,
    }
}

/// Whether a text is in a command of a program that has its password behind an option with the name of one: there a word is one.
pub(super) fn takes_named(front: &[u8], complete: bool) -> bool {
    is_of(front, complete, &NAMED)
}

fn is_of(front: &[u8], complete: bool, programs: &[&[u8]]) -> bool {
    commands(front, complete).any(|command| {
        let program = from_program(command).next();
        program.is_some_and(|program| is_one(program, programs))
    })
}

/// Whether a line of a configuration or a command sets a password by the one word before it: `requirepass `.
pub(super) fn sets(rest: &[u8], complete: bool) -> bool {
    let (front, word) = super::command::last(rest);
    let begins = front.trim_ascii_end();
    let line = begins.is_empty() && complete || front[begins.len()..].contains(&b'\n');
    let program = || commands(front, complete).find_map(|command| from_program(command).next());
    match word {
        b"requirepass" | b"masterauth" => line || ends_in(front, b"set"),
        b"password" => match program().map(named).as_deref() {
            Some(b"mysqladmin") => true,
            Some(b"nmcli") => words(front).any(|word| word == b"wifi"),
            _ => false,
        },
        b"set-initial-password" | b"reset-admin-password" => true,
        _ => false,
    }
}

fn ends_in(front: &[u8], word: &[u8]) -> bool {
    let (_, last) = super::command::last(front);
    last.eq_ignore_ascii_case(word)
}

/// Whether a password stands behind a colon here: `-passin pass:`, `/p:`.
pub(super) fn is_told(before: &[u8], complete: bool) -> bool {
    matches!(
        before,
        [.., b's', b's'] | [.., b'/', b'p'] | [.., b'w', b'd'] | [.., b'r', b'd']
    ) && (is_scheme(before) || is_slashed(before, complete))
}

/// Whether a line of a list of users goes on with one's password: `user ada on >`.
pub(super) fn is_acl(before: &[u8], complete: bool) -> bool {
    commands(before, complete).any(|command| {
        let mut words = words(command);
        let first = words.next();
        let mut setuser = || words.any(|word| word.eq_ignore_ascii_case(b"setuser"));
        first == Some(b"user") && before.ends_with(b" on") || before.ends_with(b" on") && setuser()
    })
}

/// Whether a text ends in the scheme behind which programs of OpenSSL have a password: `-passin pass`.
fn is_scheme(before: &[u8]) -> bool {
    let Some(front) = before.strip_suffix(b"pass") else {
        return false;
    };
    let front = match front {
        [front @ .., b'"' | b'\''] => front,
        front => front,
    };
    let (_, option) = super::command::last(front);
    front.ends_with(b" ") && matches!(option, b"-passin" | b"-passout" | b"-pass")
}

/// Whether a text ends in an option as Windows has them, behind which a program has a password: `/p`.
fn is_slashed(before: &[u8], complete: bool) -> bool {
    let from = before.iter().rposition(|byte| *byte == b' ');
    let option = &before[from.map_or(0, |at| at + 1)..];
    matches!(option, b"/p" | b"/pass" | b"/password" | b"/pwd") && is_of(before, complete, &SLASHED)
}

/// Whether a text ends in the command that writes what follows, and perhaps in the user before it: `echo ada:`.
pub(super) fn writes(behind: &[u8]) -> bool {
    let front = match behind {
        [front @ .., b'"' | b'\''] => front,
        front => front,
    };
    let echo = [&b"echo "[..], b"echo", b" -n ", b" -e "];
    echo.iter().any(|word| front.ends_with(word))
        && commands(front, behind.len() < LOOKBEHIND).any(|command| {
            let mut words = from_program(command);
            words.next() == Some(b"echo") && words.all(|word| word.starts_with(b"-"))
        })
}

/// Whether what a command writes is taken as a password by the next one, of which this is the text from the value on: `… | chpasswd`.
pub(super) fn is_taken(rest: &[u8], whole: bool) -> Option<bool> {
    let rest = match rest {
        [b'"' | b'\'', rest @ ..] => rest,
        rest => rest,
    };
    let begins = rest.iter().position(|byte| *byte != b' ');
    let (pipe, next) = match begins.map(|at| (rest[at], &rest[at + 1..])) {
        Some(found) => found,
        None => return whole.then_some(false).or(None),
    };
    if pipe != b'|' {
        return Some(false);
    }
    let reach = &next[..next.len().min(FARTHEST)];
    let end = reach.iter().position(|byte| b"\n|;&\"'`".contains(byte));
    if end.is_none() && reach.len() == next.len() && reach.len() < FARTHEST && !whole {
        return None;
    }
    let command = &reach[..end.unwrap_or(reach.len())];
    let has = |word: &[u8]| words(command).any(|other| other == word);
    Some(has(b"chpasswd"))
}

/// No password stands farther behind what leads to it.
const FARTHEST: usize = 96;
/// The words that lead to a password, beside options.
const LEADING: [&[u8]; 4] = [b"user", b"add_user", b"change_password", b"sqlplus"];
/// The programs that have one among their arguments.
const ARGUMENTS: [&[u8]; 15] = [
    b"htpasswd",
    b"mosquitto_passwd",
    b"net",
    b"net1",
    b"rabbitmqctl",
    b"lftp",
    b"sqlplus",
    b"smbclient",
    b"rpcclient",
    b"smbget",
    b"smbcacls",
    b"winexe",
    b"pth-winexe",
    b"wmic",
    b"smbtree",
];
/// Those of them that have it behind the user and a percent sign.
const SAMBA: [&[u8]; 9] = [
    b"smbclient",
    b"rpcclient",
    b"smbget",
    b"smbcacls",
    b"winexe",
    b"pth-winexe",
    b"wmic",
    b"smbtree",
    b"net",
];
/// The programs that have it behind a slash, a name and a colon.
const SLASHED: [&[u8]; 7] = [
    b"xfreerdp",
    b"xfreerdp3",
    b"wfreerdp",
    b"cmdkey",
    b"wmic",
    b"net",
    b"mstsc",
];
/// The programs that have it behind an option with its name.
const NAMED: [&[u8]; 48] = [
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
    b"pg_dump",
    b"docker",
    b"podman",
    b"nerdctl",
    b"buildah",
    b"skopeo",
    b"helm",
    b"oras",
    b"crane",
    b"az",
    b"cf",
    b"oc",
    b"kubectl",
    b"wget",
    b"wget2",
    b"aria2c",
    b"mongo",
    b"mongosh",
    b"mongodump",
    b"mongorestore",
    b"mongoexport",
    b"mongoimport",
    b"redis-cli",
    b"valkey-cli",
    b"svn",
    b"keytool",
    b"jarsigner",
    b"clickhouse-client",
    b"clickhouse",
    b"influx",
    b"gpg",
    b"gpg2",
    b"vault",
    b"schtasks",
    b"ansible",
    b"ansible-playbook",
    b"rabbitmqadmin",
    b"qpdf",
];
