//! reqwest with the roots of the system: as it comes, which is rustls, and with the OpenSSL of the system.

use std::error::Error;

fn default(url: String) -> Result<(), Box<dyn Error>> {
    reqwest::blocking::get(url)?;
    Ok(())
}

fn native_tls(url: String) -> Result<(), Box<dyn Error>> {
    let client = reqwest::blocking::Client::builder().tls_backend_native();
    client.build()?.get(url).send()?;
    Ok(())
}

fn main() {
    let calls: [(_, _, reqwest_clients::Call); 2] = [("default", VERSION, default), ("native-tls", VERSION, native_tls)];
    reqwest_clients::make(&calls);
}

/// Pinned by the manifest.
const VERSION: &str = "0.13.5";
