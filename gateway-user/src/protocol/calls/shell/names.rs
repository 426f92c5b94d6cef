//! What the reader of a shell's text knows by name.

/// As deep as commands stand in commands.
pub(super) const DEPTH: u8 = 8;
pub(super) const KEYWORDS: &[&str] = &[
    "!", "{", "}", "if", "then", "elif", "else", "fi", "do", "done", "while", "until", "esac",
    "time", "-p", "--",
];
/// Programs that start the program which their words name.
pub(super) const STARTERS: &[&str] = &[
    "busybox", "chroot", "command", "coproc", "doas", "env", "eval", "exec", "flock", "ionice",
    "nice", "nohup", "nsenter", "parallel", "runuser", "script", "setpriv", "setsid", "stdbuf",
    "strace", "su", "sudo", "timeout", "toybox", "unshare", "watch", "xargs",
];
/// Programs that do nothing with their words but read them.
pub(super) const PLAIN: &[&str] = &[
    "basename", "cat", "cd", "cut", "date", "dirname", "echo", "egrep", "fgrep", "grep", "head",
    "jq", "ls", "mkdir", "printf", "pwd", "rg", "sort", "stat", "tail", "test", "touch", "tr",
    "uniq", "wc", "[",
];
/// Programs that connect to what their words name, with or without a scheme; options of theirs whose word is no place.
pub(super) type Dials = (&'static str, &'static [&'static str]);
pub(super) const DIAL: &[Dials] = &[
    ("aria2c", &["-d", "-o"]),
    (
        "curl",
        &[
            "-A",
            "-F",
            "-H",
            "-X",
            "-b",
            "-c",
            "-d",
            "-m",
            "-o",
            "-u",
            "-w",
            "--data",
            "--data-binary",
            "--data-raw",
            "--header",
            "--max-time",
            "--output",
            "--request",
            "--user",
            "--user-agent",
        ],
    ),
    ("ftp", &[]),
    ("links", &[]),
    ("lynx", &[]),
    ("nc", &[]),
    ("ncat", &[]),
    ("netcat", &[]),
    ("telnet", &[]),
    ("w3m", &[]),
    ("wget", &["-O", "-P", "-T", "-U", "-o", "-t"]),
];
/// Programs that run what they read.
pub(super) const RUNS: &[&str] = &[
    "ash", "bash", "csh", "dash", "eval", "fish", "ksh", "lua", "node", "parallel", "perl", "php",
    "pwsh", "python", "python2", "python3", "ruby", "sh", "source", "ssh", "tcsh", "xargs", "zsh",
    ".",
];
/// Words of `find` and others behind which a command stands.
pub(super) const STARTS: &[&str] = &["-exec", "-execdir", "-ok", "-okdir", "--"];
/// Stands for programs that are not known, so that no list of what is permitted has it.
pub(super) const UNSURE: &str = "$";
/// Stands for the definition of a function.
pub(super) const DEFINES: &str = "function";
/// Folders whose programs go by their name alone.
pub(super) const SYSTEM: &[&str] = &[
    "/bin",
    "/sbin",
    "/usr/bin",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/usr/sbin",
];
/// Variables that change which program a name starts, or what a shell or program runs beside.
pub(super) const CHANGES: &[&str] = &[
    "BASHOPTS",
    "BASH_ALIASES",
    "BASH_CMDS",
    "BASH_ENV",
    "ENV",
    "GCONV_PATH",
    "GIT_EDITOR",
    "GIT_EXTERNAL_DIFF",
    "GIT_PAGER",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "IFS",
    "LESSOPEN",
    "NODE_OPTIONS",
    "PAGER",
    "PATH",
    "PERL5LIB",
    "PERL5OPT",
    "PROMPT_COMMAND",
    "PS0",
    "PS1",
    "PS4",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "RUBYOPT",
    "SHELLOPTS",
];
