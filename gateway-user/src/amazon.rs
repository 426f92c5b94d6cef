//! Amazon Bedrock: the hosts of its runtime, and what it calls models.

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

/// The other names of a model that is called by an ARN or by an inference profile: without the ARN, then without the regions that the profile
/// spans. The name of an operator's own profile tells of no model, and stays what it is.
pub(crate) fn names(model: &str) -> impl Iterator<Item = &str> {
    let named = match model.strip_prefix("arn:") {
        Some(arn) => arn.rsplit('/').next().unwrap_or_default(),
        None => model,
    };
    let spanned = named.split_once('.');
    let spanned = spanned.filter(|(regions, _)| REGIONS.contains(regions));
    [Some(named), spanned.map(|(_, name)| name)]
        .into_iter()
        .flatten()
}

/// What an inference profile spans, before the name of its model.
const REGIONS: [&str; 10] = [
    "us", "us-gov", "eu", "apac", "jp", "au", "ca", "sa", "in", "global",
];
/// What a host of the runtime has in its name, before its region.
const RUNTIME: [&str; 2] = ["bedrock-runtime", "bedrock-runtime-fips"];
