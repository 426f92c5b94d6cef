//! Policies that are nested too deeply to be parsed.
//!
//! Cedar's parser, validator and evaluator recurse, and a stack that overflows ends the process. What a policy can cost them is
//! bounded here by what can be counted without parsing: open brackets, and operators that can stand in a chain.

/// The first place in `text` where a policy is nested or chained too deeply, as an offset.
pub(super) fn too_deep(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut brackets, mut operators) = (0_usize, 0_usize);
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = end_of_string(bytes, at),
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                at += bytes[at..]
                    .iter()
                    .position(|byte| *byte == b'\n')
                    .unwrap_or(bytes.len());
            }
            b'(' | b'[' | b'{' => brackets += 1,
            b')' | b']' | b'}' => brackets = brackets.saturating_sub(1),
            // The end of a policy. Unclosed brackets stay counted; the parser reports them.
            b';' => operators = 0,
            b'&' | b'|' | b'!' | b'-' | b'+' | b'*' | b'.' => operators += 1,
            b'i' if bytes[at..].starts_with(b"if") => operators += 1,
            _ => {}
        }
        if brackets > MAX_BRACKETS || operators > MAX_OPERATORS {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// The closing quote of the string that opens at `open`, or the end.
fn end_of_string(bytes: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Enough for any condition that people can read.
const MAX_BRACKETS: usize = 32;

/// `a.b && c.d` counts four: seventy alternatives fit, and more are written as a set. An evaluation that finds its stack too short
/// for what is admitted ends with an error, which is a denial; only parser and validator have no such check of their own.
const MAX_OPERATORS: usize = 300;

/// Takes the deepest policy that is admitted, in a build without optimisation, several times over.
pub(super) const STACK: usize = 64 * 1024 * 1024;
