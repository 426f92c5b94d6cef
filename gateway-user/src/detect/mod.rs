//! Bytes to findings: secrets and personal data. Pure.
