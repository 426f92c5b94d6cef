//! Hosts of Amazon Bedrock's runtime.

/// Whether a host is one where paths name models by their ARNs, whose slashes are encoded.
#[must_use]
pub(crate) fn is_runtime(host: &str) -> bool {
    let amazons = [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"];
    amazons.iter().any(|end| host.ends_with(end))
        && host.split('.').any(|label| RUNTIME.contains(&label))
}

/// The region that a host of the runtime is in.
#[must_use]
pub(crate) fn region(host: &str) -> Option<&str> {
    let mut labels = host.split('.');
    labels.find(|label| RUNTIME.contains(label))?;
    labels
        .next()
        .filter(|region| is_runtime(host) && !region.contains('*'))
}

/// What a host of the runtime has in its name, before its region.
const RUNTIME: [&str; 2] = ["bedrock-runtime", "bedrock-runtime-fips"];
