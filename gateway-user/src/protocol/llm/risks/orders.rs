//! Orders to a model, in a text that should have none: to set aside what it was told, to keep something from its user, to take up a role;
//! and the marks by which chat templates begin a turn.

use super::is_blank;

/// Whether a text orders a model about.
pub(super) fn orders(text: &str) -> bool {
    let lower: String = text
        .chars()
        .filter(|character| !is_blank(*character))
        .flat_map(char::to_lowercase)
        .collect();
    if MARKS.iter().any(|mark| lower.contains(mark)) {
        return true;
    }
    let words: Vec<&str> = lower
        .split(|character: char| !character.is_alphanumeric() && character != '\'')
        .filter(|word| !word.is_empty())
        .collect();
    (0..words.len()).any(|at| {
        let rest = &words[at..words.len().min(at + REACH)];
        RULES.iter().any(|rule| rule.begins(rest))
    })
}

/// Words that follow each other, with others between them: each is one of a list.
struct Rule(&'static [&'static [&'static str]]);

impl Rule {
    fn begins(&self, words: &[&str]) -> bool {
        let [first, others @ ..] = self.0 else {
            return false;
        };
        let Some((word, mut rest)) = words.split_first() else {
            return false;
        };
        first.contains(word)
            && others.iter().all(|list| {
                let near = &rest[..rest.len().min(GAP)];
                let found = near.iter().position(|word| list.contains(word));
                found.is_some_and(|at| {
                    rest = &rest[at + 1..];
                    true
                })
            })
    }
}

const SET_ASIDE: &[&str] = &[
    "ignore",
    "disregard",
    "forget",
    "override",
    "bypass",
    "overlook",
    "discard",
    "neglect",
    "ignoriere",
    "ignorieren",
    "vergiss",
    "missachte",
    "ignorez",
    "oubliez",
    "ignora",
    "olvida",
    "dimentica",
    "ignorar",
    "esqueça",
    "negeer",
    "vergeet",
];
const EARLIER: &[&str] = &[
    "previous",
    "prior",
    "above",
    "earlier",
    "preceding",
    "former",
    "foregoing",
    "past",
    "all",
    "any",
    "your",
    "existing",
    "original",
    "initial",
    "safety",
    "vorherigen",
    "bisherigen",
    "obigen",
    "alle",
    "précédentes",
    "antérieures",
    "anteriores",
    "previas",
    "precedenti",
    "vorige",
    "eerdere",
];
const TOLD: &[&str] = &[
    "instructions",
    "instruction",
    "prompt",
    "prompts",
    "directives",
    "directive",
    "directions",
    "guidelines",
    "orders",
    "commands",
    "programming",
    "anweisungen",
    "anweisung",
    "vorgaben",
    "instrucciones",
    "istruzioni",
    "instruções",
    "instructies",
    "consignes",
];
const NOT: &[&str] = &["not", "don't", "never", "without"];
const TELL: &[&str] = &[
    "tell",
    "telling",
    "inform",
    "informing",
    "notify",
    "notifying",
    "mention",
    "mentioning",
    "alert",
    "alerting",
    "reveal",
    "revealing",
];
const PEOPLE: &[&str] = &["user", "users", "human", "operator"];
const CONTENT: &[&str] = &[
    "page", "webpage", "website", "site", "content", "text", "document", "article", "paper",
    "resume", "email", "mail", "message", "function", "code", "comment", "data", "table", "file",
    "review", "page", "página", "fonction", "texte", "texto", "inhalt",
];
const AND: &[&str] = &["and", "then", "und", "et", "y", "e", "instead"];
const SAY: &[&str] = &[
    "state", "say", "write", "print", "output", "reply", "respond", "answer", "tell", "return",
    "do", "indiquez", "dites", "declara", "di", "sag", "schreibe", "antworte",
];
const SHOW: &[&str] = &[
    "reveal",
    "print",
    "repeat",
    "leak",
    "disclose",
    "exfiltrate",
    "show",
];
const WHOSE: &[&str] = &[
    "your", "the", "full", "entire", "hidden", "initial", "complete",
];
const MODEL: &[&str] = &[
    "assistant",
    "ai",
    "llm",
    "chatbot",
    "claude",
    "chatgpt",
    "gpt",
    "gemini",
    "copilot",
];
const ACT: &[&str] = &[
    "call", "run", "execute", "send", "invoke", "fetch", "forward", "email", "upload", "read",
    "post", "transfer", "follow", "obey",
];

/// Each begins with the rarest of its words that can stand first.
const RULES: &[Rule] = &[
    Rule(&[SET_ASIDE, EARLIER, TOLD]),
    // `any previous and following instructions`
    Rule(&[SET_ASIDE, EARLIER, EARLIER, TOLD]),
    Rule(&[SET_ASIDE, TOLD, AND, SAY]),
    Rule(&[SET_ASIDE, &["rest"], CONTENT, AND, SAY]),
    Rule(&[
        SET_ASIDE,
        &["all", "any", "everything"],
        &["info", "information", "content", "text", "data"],
        &["except"],
    ]),
    // What says that it is written for models alone.
    Rule(&[
        &["invisible", "unseen"],
        &["human", "humans", "people", "users"],
        &["visible", "readable"],
        MODEL,
    ]),
    // In Romance languages the adjective comes last.
    Rule(&[SET_ASIDE, TOLD, EARLIER]),
    Rule(&[SET_ASIDE, CONTENT, AND, SAY]),
    Rule(&[NOT, TELL, PEOPLE]),
    Rule(&[
        SHOW,
        WHOSE,
        &["system"],
        &["prompt", "message", "instructions"],
    ]),
    Rule(&[
        &["from"],
        &["now"],
        &["on"],
        &["you"],
        &[
            "must", "will", "are", "shall", "should", "answer", "respond",
        ],
    ]),
    Rule(&[
        &["you"],
        &["are"],
        &["now"],
        &[
            "dan",
            "unrestricted",
            "jailbroken",
            "assistant",
            "ai",
            "model",
            "bot",
            "hacker",
        ],
    ]),
    Rule(&[
        &["attention", "important", "urgent", "dear", "note", "hey"],
        MODEL,
        &["you", "please", "must", "ignore", "stop"],
    ]),
    Rule(&[MODEL, &["must", "should", "shall"], ACT]),
    Rule(&[
        &["developer", "admin", "god", "jailbreak", "dan"],
        &["mode"],
        &["enabled", "activated"],
    ]),
];

/// How chat templates and tool poisoning begin a turn; the first order where words have no spaces between them.
const MARKS: &[&str] = &[
    "<|im_start|>",
    "<|im_end|>",
    "<|system|>",
    "<|assistant|>",
    "<|user|>",
    "<|start_header_id|>",
    "<|eot_id|>",
    "[inst]",
    "[/inst]",
    "<<sys>>",
    "<important>",
    "</important>",
    "\n\nhuman:",
    "\n\nassistant:",
    "忽略之前",
    "忽略以前",
    "忽略以上",
    "忽略上述",
    "忽略所有",
    "指示を無視",
    "命令を無視",
    "이전 지시",
    "تجاهل التعليمات",
    "игнорируй предыдущие",
    "игнорируйте предыдущие",
];
/// How far behind the one before a word of an order stands at most.
const GAP: usize = 3;
/// So many words an order has at most.
const REACH: usize = 1 + 4 * GAP;
