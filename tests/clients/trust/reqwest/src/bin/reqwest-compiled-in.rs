//! reqwest with the roots of webpki-roots, compiled in.

use std::error::Error;

fn webpki_roots(url: String) -> Result<(), Box<dyn Error>> {
    reqwest_webpki::blocking::get(url)?;
    Ok(())
}

fn main() {
    let calls: [(_, _, reqwest_clients::Call); 1] = [("webpki-roots", VERSION, webpki_roots)];
    reqwest_clients::make(&calls);
}

/// Pinned by the manifest.
const VERSION: &str = "0.12.28";
