//! Redaction by findings over JSON, streams and text; correct at every chunk boundary. Pure.
