//! What is checked alike of answers and conversations over a WebSocket: the same as without Tollgate, edited, masked across their pieces.

use serde_json::{Value, json};
use tests::{
    harness::Daemon,
    upstream::{LEAKED_CARD, LEAKED_EMAIL, SOUND},
};

use crate::world::{IDENTITY, Script, World, text};

/// A kind of these.
pub(crate) struct Talks {
    /// The client of `call.py`.
    pub(crate) client: &'static str,
    /// The model that policy permits.
    pub(crate) model: &'static str,
    /// The model that the opening names.
    pub(crate) opening: &'static str,
    /// The format, as the record has it.
    pub(crate) protocol: &'static str,
    /// The ways of the client: fields of its calls.
    pub(crate) ways: fn() -> Vec<Value>,
}

impl Talks {
    /// A world whose policies permit this.
    pub(crate) fn world(&self) -> anyhow::Result<World> {
        let opens = format!(
            "@id(\"opens\")\npermit (principal, action == Action::\"llm.generate\", resource == Service::\"openai\")\n\
             when {{ context.model == \"{}\" }};\n",
            self.opening
        );
        World::run_by("", |lab| {
            lab.write("policies/talks.cedar", &[&opens, POLICIES].concat())?;
            Daemon::start(lab)
        })
    }

    /// A prompt, in each of the client's ways.
    pub(crate) fn calls(&self, model: &str, prompt: &str, tools: bool) -> Vec<Value> {
        let mut calls = (self.ways)();
        for call in &mut calls {
            call["client"] = json!(self.client);
            call["model"] = json!(model);
            call["prompt"] = json!(prompt);
            call["tools"] = json!(tools);
        }
        calls
    }

    fn permitted(&self, prompt: &str, tools: bool) -> Vec<Value> {
        self.calls(self.model, prompt, tools)
    }

    /// What arrives is what arrives without Tollgate.
    pub(crate) fn are_the_same(&self) -> anyhow::Result<()> {
        let world = self.world()?;
        let weather = self.permitted("weather in Lisbon", true);
        let ways = weather.len();
        let calls = [self.permitted("hello", false), weather].concat();
        let (control, results) = both(&world, &calls)?;
        assert_eq!(results, control, "{}", world.daemon.log());
        assert!(text(&control[2 * ways - 1], "text").contains("sunny in Lisbon"));
        // Where each answer is an exchange, there is the opening beside them, and two of them with a call between.
        let answers = |result| match self.opening.is_empty() {
            true if text(result, "text").contains("sunny") => 2,
            _ => 1,
        };
        let count: usize = control.iter().map(answers).sum();
        let openings = usize::from(self.opening.is_empty()) * calls.len();
        let exchanges = world
            .daemon
            .ended_after(0, count + openings + ways)?
            .into_iter()
            .filter(|found| found["outcome"] == "completed");
        let (tools, exchanges): (Vec<Value>, Vec<Value>) =
            exchanges.partition(|found| found["action"] == "llm.tool_call");
        assert_eq!(tools.len(), ways);
        let named = exchanges.iter().filter(|found| found["model"] != "");
        let mut named = named.inspect(|found| assert_eq!(found["protocol"], self.protocol));
        for result in &control {
            let counted = |usage: [u64; 2], found: &Value| {
                let more = |name: &str| found["usage"][name].as_u64().unwrap_or_default();
                [usage[0] + more("input"), usage[1] + more("output")]
            };
            let usage = named.by_ref().take(answers(result)).fold([0, 0], counted);
            assert_eq!(json!(usage), result["usage"], "{exchanges:#?}");
        }
        assert!(named.next().is_none(), "{exchanges:#?}");
        Ok(())
    }

    /// A call of a tool arrives as policy edits it.
    pub(crate) fn are_edited(&self) -> anyhow::Result<()> {
        let world = self.world()?;
        let asks = |city: &str| self.permitted(&format!("weather in {city}"), true);
        let expected = world.untagged(&Script::python()?, &asks("Porto"))?;
        let (control, results) = both(&world, &asks("Brest"))?;
        assert!(text(&control[0], "text").contains("sunny in Brest"));
        assert_eq!(results, expected, "{}", world.daemon.log());
        Ok(())
    }

    /// What is asked and what is answered is masked, on the wire and in the record.
    pub(crate) fn are_masked(&self) -> anyhow::Result<()> {
        let world = self.world()?;
        let prompt = format!("charge {LEAKED_CARD} and tell {LEAKED_EMAIL}");
        let calls = [
            self.permitted("please leak the record", false),
            self.permitted(&prompt, false),
        ]
        .concat();
        let (control, results) = both(&world, &calls)?;
        for (result, expected) in results.iter().zip(&control) {
            let masked = text(expected, "text")
                .replace(LEAKED_CARD, "[REDACTED:credit-card]")
                .replace(LEAKED_EMAIL, "[REDACTED:email]");
            let log = world.daemon.log();
            assert_eq!(text(result, "text"), masked, "{result:#}\n{log}");
            if !text(expected, "text").starts_with("You said") {
                assert_eq!(result["events"], expected["events"]);
            }
            let mut sound = result["sound"].as_array().into_iter().flatten();
            assert!(sound.all(|sound| sound == SOUND));
        }
        for asked in world.upstream.take() {
            let said = asked.text();
            assert!(
                !said.contains(LEAKED_CARD) && !said.contains(LEAKED_EMAIL),
                "{said}"
            );
        }
        for exchange in world.daemon.ended_after(0, calls.len())? {
            let shown = ["replay", text(&exchange, "id"), "--json"];
            let shown = world.daemon.run(&shown)?.success()?;
            assert!(shown.contains("[REDACTED:credit-card]"), "{shown}");
            assert!(
                !shown.contains(LEAKED_CARD) && !shown.contains(LEAKED_EMAIL),
                "{shown}"
            );
        }
        Ok(())
    }

    /// The calls succeed without Tollgate, and raise this error, which says so much, with it.
    pub(crate) fn are_refused(&self, cases: &[(Vec<Value>, &str, &str)]) -> anyhow::Result<()> {
        let world = self.world()?;
        for (calls, error, told) in cases {
            let (_, results) = both(&world, calls)?;
            for result in &results {
                let log = world.daemon.log();
                assert_eq!(result["error"], *error, "{result:#}\n{log}");
                let message = text(result, "message").replace('\\', "");
                assert!(message.contains(told), "{IDENTITY}: {message}");
            }
        }
        Ok(())
    }
}

/// The same calls without Tollgate, where each succeeds, and with it.
fn both(world: &World, calls: &[Value]) -> anyhow::Result<(Vec<Value>, Vec<Value>)> {
    let script = Script::python()?;
    let control = world.untagged(&script, calls)?;
    for result in &control {
        assert!(
            result["error"].is_null(),
            "the control run failed: {result:#}"
        );
    }
    world.upstream.take();
    Ok((control, world.tagged(&script, calls)?))
}

const POLICIES: &str = r#"
@id("calls")
permit (principal, action == Action::"llm.tool_call", resource == Service::"openai");

@id("no-atlantis")
@message("nobody goes there")
forbid (principal, action == Action::"llm.tool_call", resource)
when { context.tool == "weather" && context.text like "*Atlantis*" };

@id("elsewhere") @patch("{\"city\": \"Porto\"}")
permit (principal, action == Action::"llm.tool_call", resource == Service::"openai")
when { context.tool == "weather" && context.text like "*Brest*" };
"#;
/// What raises an error in both where policy refuses a call of a tool to Atlantis.
pub(crate) const NO_ATLANTIS: &str = "Tollgate refused llm.tool_call of \"weather\" on openai for research-agent: policy \"no-atlantis\" forbids it: nobody goes there. Id ";
/// And where the prompt has a secret.
pub(crate) const SECRET: &str = concat!("log in with AKIA", "IOSFODNN7EXAMPLE");
pub(crate) const NO_SECRETS: &str =
    "Tollgate refused llm.generate on openai for research-agent: policy \"no-secrets\" forbids it";
