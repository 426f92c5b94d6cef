//! The demo: real LangChain agents, tagged and untagged, before a local upstream. Its rows are checks.
//!
//! In: root, and what `cargo xtask demo` brings. Out: a table of what was allowed, blocked, masked and held, the transcript of one
//! session, and how to try it by hand; exit code 1 if any row is not as expected. One process tells the story; another stands above
//! it and cleans up whatever way the story ends.

mod rows;
mod story;
mod supervise;

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(about = "Real LangChain agents under Tollgate")]
struct Arguments {
    /// Stay up afterwards, until Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// The story itself, as the supervisor starts it.
    #[arg(long, hide = true)]
    story: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = if arguments.story {
        story::tell(arguments.keep)
    } else {
        supervise::run(arguments.keep)
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}
