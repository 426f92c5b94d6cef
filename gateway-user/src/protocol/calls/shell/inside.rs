//! What stands in quotes, in substitutions and in other expansions of a shell's text.

use super::expansion::{arithmetic, backquotes, plain};
use super::names::UNSURE;
use super::{At, Reader, Seen};

impl Reader<'_> {
    /// What stands in single quotes, and what follows them.
    pub(super) fn until<'t>(&mut self, text: &'t str) -> (&'t str, &'t str) {
        let parts = text.split_once('\'');
        self.unsure |= parts.is_none();
        parts.unwrap_or((text, ""))
    }

    /// Reads to the end of a double quote.
    pub(super) fn quoted<'t>(&mut self, text: &'t str) -> &'t str {
        self.word.get_or_insert_default();
        let mut rest = text.chars();
        while let Some(next) = rest.next() {
            match next {
                '"' => return rest.as_str(),
                '\\' => match rest.next() {
                    Some('\n') | None => {}
                    Some(escaped @ ('"' | '\\' | '$' | '`')) => self.push(escaped),
                    Some(other) => {
                        self.push('\\');
                        self.push(other);
                    }
                },
                '$' | '`' => rest = self.expanded(next, rest.as_str()).chars(),
                other => self.push(other),
            }
        }
        self.unsure = true;
        ""
    }

    /// The word goes on with what `$` or a backquote stands for; what comes after it.
    pub(super) fn expanded<'t>(&mut self, sign: char, text: &'t str) -> &'t str {
        self.push('$');
        if sign == '`' {
            let (inside, after, sure) = backquotes(text);
            self.unsure |= !sure;
            self.go_inside(&inside);
            return after;
        }
        if let Some(inside) = text.strip_prefix('(') {
            if let Some(after) = arithmetic(inside) {
                return after;
            }
            // What a variable holds is read again in arithmetic.
            self.unsure |= inside.starts_with('(');
            return self.substituted(inside);
        }
        if let Some(inside) = text.strip_prefix('{') {
            if let Some(length) = plain(inside) {
                let (name, after) = text.split_at(length + 2);
                self.word.get_or_insert_default().push_str(name);
                return after;
            }
            self.unsure = true;
            // A command in ksh and bash 5.3.
            if inside.starts_with([' ', '\t', '\n', '|']) {
                self.end_word();
                self.at = At::Command;
                return &inside[1..];
            }
        }
        self.unsure |= text.starts_with('[');
        text
    }

    /// Reads a substitution from behind its `$(`; gives what follows.
    fn substituted<'t>(&mut self, text: &'t str) -> &'t str {
        if self.depth == 0 {
            self.unsure = true;
            return text;
        }
        let mut inside = self.inside();
        let after = inside.read(text, true);
        let (aside, unsure) = (inside.aside, inside.unsure);
        self.aside.extend(aside);
        self.unsure |= unsure;
        (self.inner)(Seen::Text(&text[..text.len() - after.len()]));
        after
    }

    pub(super) fn go_inside(&mut self, text: &str) {
        if self.depth == 0 {
            // Deeper than anybody writes.
            self.found.insert(UNSURE.to_owned());
            return;
        }
        (self.inner)(Seen::Text(text));
        let mut inside = self.inside();
        inside.read(text, false);
        let (aside, unsure) = (inside.aside, inside.unsure);
        self.aside.extend(aside);
        self.unsure |= unsure;
    }

    /// A reader of what stands inside.
    fn inside(&mut self) -> Reader<'_> {
        let mut inside = Reader::new(self.found, self.inner, self.depth - 1);
        (inside.escapes, inside.unsure) = (self.escapes, self.unsure);
        inside
    }
}
