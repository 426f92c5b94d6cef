//! Turns `Ask` into a new decision by asking a person, with a deadline.
