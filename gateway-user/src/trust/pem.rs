//! PEM bundles: joined without repeating a certificate.

use std::collections::HashSet;

/// Every certificate of every part, once, in order of first appearance. Comments, keys and anything else that is not a
/// certificate are left out, so nothing private can reach a bundle that all users may read.
pub fn union<P: AsRef<[u8]>>(parts: &[P]) -> String {
    let mut seen = HashSet::new();
    let mut bundle = String::new();
    for part in parts {
        // Comments of distributions may be Latin-1; what they hold is not needed, and base64 is ASCII.
        for block in blocks(&String::from_utf8_lossy(part.as_ref())) {
            if seen.insert(block.body.clone()) {
                bundle.push_str(&block.render());
            }
        }
    }
    bundle
}

/// Every certificate of a bundle, each as a text of its own.
pub(super) fn each(bundle: &[u8]) -> Vec<String> {
    let blocks = blocks(&String::from_utf8_lossy(bundle));
    blocks.iter().map(Block::render).collect()
}

/// Whether `bundle` holds a certificate at all.
pub(super) fn is_bundle(bundle: &[u8]) -> bool {
    !blocks(&String::from_utf8_lossy(bundle)).is_empty()
}

/// Whether a private key is beside what it holds.
pub(super) fn has_key(bundle: &[u8]) -> bool {
    String::from_utf8_lossy(bundle).contains("PRIVATE KEY-----")
}

struct Block {
    label: String,
    /// The base64 text without line breaks.
    body: String,
}

impl Block {
    fn render(&self) -> String {
        let mut out = format!("-----BEGIN {}-----\n", self.label);
        let mut rest = self.body.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at(rest.len().min(LINE));
            out.push_str(line);
            out.push('\n');
            rest = after;
        }
        out.push_str(&format!("-----END {}-----\n", self.label));
        out
    }
}

/// Complete blocks whose label is one that OpenSSL reads as a certificate.
fn blocks(text: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut open: Option<Block> = None;
    for line in text.lines().map(str::trim) {
        if let Some(label) = line
            .strip_prefix("-----BEGIN ")
            .and_then(|rest| rest.strip_suffix("-----"))
        {
            let body = String::new();
            open = LABELS.contains(&label).then(|| Block {
                label: label.into(),
                body,
            });
        } else if line.starts_with("-----END ") {
            found.extend(open.take().filter(|block| !block.body.is_empty()));
        } else if let Some(block) = &mut open {
            if line
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte))
            {
                block.body.push_str(line);
            } else {
                open = None;
            }
        }
    }
    found
}

const LABELS: [&str; 3] = ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"];

/// RFC 7468 section 2.
const LINE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "-----BEGIN CERTIFICATE-----\nQUFB\nQUFB\n-----END CERTIFICATE-----\n";
    const B: &str = "-----BEGIN CERTIFICATE-----\nQkJC\n-----END CERTIFICATE-----\n";

    #[test]
    fn each_certificate_appears_once_whatever_its_line_breaks() {
        let one_line = "-----BEGIN CERTIFICATE-----\r\nQUFBQUFB\r\n-----END CERTIFICATE-----\r\n";
        let bundle = union(&[A, B, one_line, B]);
        assert_eq!(
            bundle,
            format!("{}{B}", A.replace("QUFB\nQUFB", "QUFBQUFB"))
        );
    }

    #[test]
    fn parts_without_a_final_line_break_do_not_run_together() {
        assert_eq!(union(&[B.trim_end(), A]).matches("-----BEGIN").count(), 2);
    }

    #[test]
    fn nothing_but_certificates_is_taken() {
        let key = "-----BEGIN PRIVATE KEY-----\nS0VZ\n-----END PRIVATE KEY-----\n";
        let shadow = b"root:$6$x\xe9:1:::\n".as_slice();
        let broken = "-----BEGIN CERTIFICATE-----\nroot:$6$x:1:::\n-----END CERTIFICATE-----\n";
        let parts = [key.as_bytes(), shadow, broken.as_bytes(), B.as_bytes()];
        assert_eq!(union(&parts), B);
        assert!(!is_bundle(key.as_bytes()));
        assert!(is_bundle(B.as_bytes()));
    }

    #[test]
    fn a_truncated_block_is_dropped_and_the_next_one_kept() {
        let truncated = "-----BEGIN CERTIFICATE-----\nQUFB\n";
        assert_eq!(union(&[truncated, B]), B);
    }
}
