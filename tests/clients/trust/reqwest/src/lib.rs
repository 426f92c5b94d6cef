//! Makes one call with each kind of client that is named, to `https://PREFIX<client>.trust.test`, and prints a line of JSON for each. The arguments
//! are PREFIX and the clients. Nothing here knows of Tollgate.

use std::error::Error;

/// A call to a URL.
pub type Call = fn(String) -> Result<(), Box<dyn Error>>;

/// Makes the calls that are asked for, of those that there are: name, version, call.
pub fn make(there: &[(&str, &str, Call)]) {
    let mut arguments = std::env::args().skip(1);
    let prefix = arguments.next().unwrap_or_default();
    for asked in arguments {
        let found = there.iter().find(|(name, _, _)| *name == asked);
        let Some((_, version, call)) = found else {
            continue;
        };
        let client = format!("{prefix}{asked}");
        let error = match call(format!("https://{client}.trust.test/hello")) {
            Ok(()) => "null".to_owned(),
            Err(error) => format!("\"{}\"", told(&*error)),
        };
        println!(r#"{{"client": "{client}", "version": "{version}", "error": {error}}}"#);
    }
}

fn told(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text.replace(['"', '\\', '\n'], "'")
}
