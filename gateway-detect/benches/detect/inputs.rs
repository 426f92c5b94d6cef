//! Inputs of the benchmark: requests to a model as agents make them, and prose; drawn from a fixed seed, all of it made up here.

/// Numbers that look drawn and are the same in every run.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % sides
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.roll(of.len())]
    }

    fn hex(&mut self, count: usize) -> String {
        let digit = |dice: &mut Self| char::from(b"0123456789abcdef"[dice.roll(16)]);
        (0..count).map(|_| digit(self)).collect()
    }
}

/// So many requests of about so many bytes.
pub(crate) fn requests(dice: &mut Dice, count: usize, size: usize) -> Vec<String> {
    (0..count).map(|_| request(dice, size)).collect()
}

/// Paragraphs of about so many bytes.
pub(crate) fn prose(dice: &mut Dice, size: usize) -> String {
    let mut text = String::new();
    while text.len() < size {
        text.push_str(&sentence(dice));
        text.push_str(if dice.roll(6) == 0 { "\n\n" } else { " " });
    }
    text
}

/// A chat completion with tools, of which one has answered: what a coding agent sends all day.
fn request(dice: &mut Dice, size: usize) -> String {
    let mut text = format!(
        "{{\"model\":\"gpt-4.1-mini\",\"temperature\":0.{},\"max_completion_tokens\":{},\"stream\":true,\"tools\":[{}],\"messages\":[\
         {{\"role\":\"system\",\"content\":\"{}\"}}",
        dice.roll(9),
        1024 << dice.roll(4),
        TOOLS,
        quoted(&prose(dice, 900)),
    );
    while text.len() < size {
        let (id, file) = (dice.hex(24), path(dice));
        text.push_str(&format!(
            ",{{\"role\":\"user\",\"content\":\"{}\"}},{{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{{\"id\":\"call_{id}\",\
             \"type\":\"function\",\"function\":{{\"name\":\"read_file\",\"arguments\":\"{}\"}}}}]}},{{\"role\":\"tool\",\
             \"tool_call_id\":\"call_{id}\",\"content\":\"{}\"}},{{\"role\":\"assistant\",\"content\":\"{}\"}}",
            quoted(&prose(dice, 200)),
            quoted(&format!("{{\"path\": \"{file}\", \"limit\": {}}}", dice.roll(900))),
            quoted(&result(dice)),
            quoted(&prose(dice, 300)),
        ));
    }
    text + "]}"
}

/// What a tool answers: a file, a log, a listing, a document.
fn result(dice: &mut Dice) -> String {
    let lines = 12 + dice.roll(20);
    let line: fn(&mut Dice) -> String = match dice.roll(4) {
        0 | 1 => code,
        2 => log,
        _ => |dice| {
            format!(
                "-rw-r--r-- 1 build build {:>7} Mar {:>2} {:02}:{:02} {}",
                dice.roll(900_000),
                1 + dice.roll(28),
                dice.roll(24),
                dice.roll(60),
                path(dice)
            )
        },
    };
    (0..lines).map(|_| line(dice) + "\n").collect()
}

fn code(dice: &mut Dice) -> String {
    let name = |dice: &mut Dice| format!("{}_{}", dice.one(&WORDS), dice.one(&WORDS));
    match dice.roll(6) {
        0 => format!(
            "def {}(self, {}: str = \"{}\", *, limit: int = {}) -> list[int]:",
            name(dice),
            name(dice),
            dice.one(&WORDS),
            dice.roll(500)
        ),
        1 => format!(
            "    {} = self.{}.get(\"{}\", {})",
            name(dice),
            name(dice),
            name(dice),
            dice.roll(64)
        ),
        2 => format!(
            "    if {} and {}.{} > {}.{}:",
            name(dice),
            name(dice),
            name(dice),
            dice.roll(90),
            dice.roll(90)
        ),
        3 => format!(
            "        return {}(item['{}'] for item in {})  # {}",
            dice.one(&["sum", "list", "max"]),
            name(dice),
            name(dice),
            sentence(dice)
        ),
        4 => format!(
            "from {}.{} import {}, {}",
            dice.one(&WORDS),
            dice.one(&WORDS),
            name(dice),
            name(dice)
        ),
        _ => String::new(),
    }
}

fn log(dice: &mut Dice) -> String {
    format!(
        "2026-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z {} {}::{} request={}-{}-4{}-a{}-{} status={} took={}ms bytes={} {}",
        1 + dice.roll(12),
        1 + dice.roll(28),
        dice.roll(24),
        dice.roll(60),
        dice.roll(60),
        dice.roll(1000),
        dice.one(&["INFO", "WARN", "DEBUG"]),
        dice.one(&WORDS),
        dice.one(&WORDS),
        dice.hex(8),
        dice.hex(4),
        dice.hex(3),
        dice.hex(3),
        dice.hex(12),
        dice.one(&["200", "204", "404", "503"]),
        dice.roll(4000),
        dice.roll(90_000),
        path(dice),
    )
}

fn path(dice: &mut Dice) -> String {
    let ends = [".py", ".rs", ".md", "_test.go", ".tsx"];
    format!(
        "src/{}/{}_{}{}",
        dice.one(&WORDS),
        dice.one(&WORDS),
        dice.one(&WORDS),
        dice.one(&ends)
    )
}

fn sentence(dice: &mut Dice) -> String {
    let count = 5 + dice.roll(14);
    let mut words: Vec<String> = (0..count).map(|_| dice.one(&WORDS).to_owned()).collect();
    words[0] = format!("{}{}", words[0][..1].to_uppercase(), &words[0][1..]);
    match dice.roll(8) {
        0 => words.push(format!(
            "in {} of {} cases",
            dice.roll(50),
            50 + dice.roll(4000)
        )),
        1 => words.push(format!("(see section {}.{})", dice.roll(9), dice.roll(20))),
        2 => words.push(format!(
            "on {} March 20{}",
            1 + dice.roll(28),
            10 + dice.roll(16)
        )),
        3 => words.push(format!("which is {} per cent", dice.roll(100))),
        _ => {}
    }
    words.join(" ") + dice.one(&[".", ".", "?", ":", "!"])
}

/// As the inside of a JSON string.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

const WORDS: [&str; 96] = [
    "the", "a", "of", "and", "to", "in", "is", "that", "for", "it", "with", "as", "was", "on",
    "are", "by", "this", "be", "from", "or", "which", "an", "at", "not", "have", "has", "its",
    "but", "were", "all", "would", "their", "value", "table", "column", "number", "request",
    "answer", "handler", "buffer", "window", "stream", "report", "review", "account", "invoice",
    "customer", "delivery", "station", "weather", "harbour", "engine", "garden", "winter",
    "market", "teacher", "chapter", "machine", "village", "mountain", "describe", "measure",
    "compare", "collect", "prepare", "improve", "replace", "consider", "explain", "remember",
    "between", "before", "against", "without", "through", "several", "certain", "possible",
    "quickly", "usually", "version", "session", "message", "content", "history", "library",
    "function", "argument", "parser", "encoder", "schema", "index", "cache", "queue", "worker",
    "token",
];

const TOOLS: &str = r#"{"type":"function","function":{"name":"read_file","description":"Reads a file of the workspace and returns its lines.","parameters":{"type":"object","properties":{"path":{"type":"string","description":"Where the file is, relative to the root of the workspace"},"limit":{"type":"integer","description":"At most so many lines","default":400}},"required":["path"]}}},{"type":"function","function":{"name":"run_command","description":"Runs a command and returns what it prints.","parameters":{"type":"object","properties":{"command":{"type":"array","items":{"type":"string"}},"timeout_seconds":{"type":"integer"}},"required":["command"]}}}"#;
