//! Where values may start: behind what joins a name to one, and behind the words that announce one.

use super::STRIDE;
use super::Sieve;
use super::bits::reached;

impl Sieve {
    /// Where a value may start behind what announces one: behind a separator, ` is` in some languages, the ends of `bearer`, `basic`, `token`,
    /// `secret`, `key` and `password`, `use`, `user`, words such as `requirepass`, options, first arguments, and then quotes and spaces; in
    /// quotes also behind the ends of `by` and `…string`; right behind ` -p`, and a comma or semicolon that may separate cells.
    /// It announces all that [`assign`](crate::assign) says something of: what that comes to accept has to be announced here.
    pub(super) fn values(&mut self) -> u64 {
        let here = &self.windows[self.turn];
        let vowel = here.i | here.e;
        let is = here.s & vowel << 1 & here.space << 2
            | here.t & here.s << 1 & vowel << 2 & here.space << 3
            | here.accent & here.space << 2;
        let bold = here.star & here.star << 1 & here.colon << 2;
        // `bearer`; `use`, `user`; `token`, `secret`, `key`.
        let bearer = here.r & here.e << 1 & here.r << 2;
        let uses = here.s & !here.alphanumeric << 2;
        let user = here.e & uses << 1 | here.r & here.e << 1 & uses << 2;
        let token =
            (here.n & here.k << 2 | here.t & here.r << 2 | here.y & here.k << 2) & here.e << 1;
        // `requirepass`, `sqlplus`.
        let short = here.s & here.p << 3;
        let word = here.d & here.r << 1;
        let basic = here.c & here.i << 1 & here.s << 2;
        // Most windows of prose have neither a hyphen nor a quote.
        let [option, attached] = match here.hyphen | self.option {
            0 => [0; 2],
            _ => {
                let options = here.hyphen & (here.hyphen | here.space) << 1;
                let attached = here.p << 1 & here.hyphen << 2 & here.space << 3;
                [reached(options << 1 | self.option, here.name), attached]
            }
        };
        // `f("name", `
        let [argument, second, quoted] = match here.quote | self.argument {
            0 => [0; 3],
            _ => {
                let calls = here.quote & here.left << 1;
                let argument = reached(calls << 1 | self.argument, !here.quote);
                let second = here.comma & (argument & here.quote) << 1;
                let pair = here.g << 3 & here.n << 4 | here.y << 3 & here.b << 4;
                [argument, second, here.quote << 1 & here.space << 2 & pair]
            }
        };
        let words = is | bold | bearer | user | token | word | basic | short;
        let ends = here.separator | second;
        // Behind a word comes a space or a quote, behind a separator it may.
        let starts = ends << 1 | words << 1 & here.quiet | option & !here.name | self.announced;
        let announced = reached(starts, here.quiet);
        (self.option, self.argument) = (option >> STRIDE, argument >> STRIDE);
        self.announced = announced >> STRIDE;
        // The cell of a table; numbers in a row of them have no letters. What has not come may be one: it is in every class.
        let letter = here.alphanumeric & (!here.digit | here.quiet);
        let cell = here.comma << 1 & here.alphanumeric & (!here.digit | letter >> 1 | letter >> 2);
        (announced & !here.quiet | quoted | attached | cell) & here.first
    }
}
