//! Depth is bounded before anything recurses.

use super::*;

#[test]
fn depth_is_refused_before_it_can_end_the_process() {
    let policy = |condition: String| {
        format!("@id(\"a\") permit (principal, action, resource) when {{ {condition} }};")
    };
    let chain = |operator: &str, n| vec!["context.tls"; n].join(operator);
    let nested =
        |open: &str, n, close: &str| format!("{}context.tls{}", open.repeat(n), close.repeat(n));
    for deep in [
        chain(" && ", 1000),
        chain(" || ", 60_000),
        nested("(", 50, ")"),
        nested("!(", 20_000, ")"),
        nested("[", 400_000, "]"),
        nested("if true then ", 20_000, " else true"),
        format!("\"\\\"\" == \"x\" && {}", nested("(", 50, ")")),
        format!("// \"\n{}", nested("(", 50, ")")),
    ] {
        assert!(
            compile(&policy(deep))
                .unwrap_err()
                .to_string()
                .contains("too deeply")
        );
    }
    // What is admitted can be read; on a short stack its evaluation denies, on a long one it answers.
    for fits in [
        chain(" && ", 75),
        chain(" || ", 75),
        nested("(", 30, ")"),
        nested("!(", 30, ")"),
        nested("if context.tls then ", 100, " else false"),
        format!(
            "context.tls && ![{}].contains(context.host)",
            vec!["\"(((\""; 5000].join(",")
        ),
    ] {
        let set = set(&policy(fits));
        let decide = |stack: usize| {
            let thread = std::thread::Builder::new().stack_size(stack);
            std::thread::scope(|scope| {
                let run = || set.decide(generate("m"));
                thread.spawn_scoped(scope, run).unwrap().join().unwrap()
            })
        };
        if let Decision::Deny(denial) = decide(256 * 1024) {
            assert!(denial.error, "{denial:?}");
        }
        permit(decide(16 * 1024 * 1024));
    }
    // Each policy counts by itself.
    let many: String = (0..20)
        .map(|n| policy(chain(" && ", 75)).replace("\"a\"", &format!("\"{n}\"")))
        .collect();
    compile(&many).unwrap();
    // Unclosed strings and comments end the text.
    for text in ["\"", "\"\\", "// (((", "/"] {
        assert!(compile(text).is_err() || text.starts_with("//"), "{text}");
    }
}
