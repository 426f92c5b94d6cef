//! Names of models that end in a date.

/// The name that a dated version of a model belongs to: `gpt-5-mini` of `gpt-5-mini-2025-08-07`.
pub(super) fn undated(model: &str) -> Option<&str> {
    if let Some(name) = model.strip_suffix("-latest") {
        return Some(name);
    }
    let digits = |c: char| c.is_ascii_digit() || c == '-';
    let name = model.trim_end_matches(digits);
    let date = &model[name.len()..];
    let bare = match date.strip_prefix('-') {
        Some(date) => {
            let count = date.bytes().filter(u8::is_ascii_digit).count();
            // A name may itself end in digits: `gpt-5-2025-08-07`.
            match count {
                4.. => cut(model, date),
                _ => None,
            }
        }
        None => name.strip_suffix('@').filter(|_| date.len() == 8),
    };
    bare.filter(|bare| !bare.is_empty())
}

/// `model` without the date that it ends in: `-YYYY-MM-DD`, `-YYYYMMDD` or `-MMDD`.
fn cut<'a>(model: &'a str, date: &str) -> Option<&'a str> {
    let shapes: [&[usize]; 3] = [&[4, 2, 2], &[8], &[4]];
    let parts: Vec<usize> = date.split('-').map(str::len).collect();
    let shape = shapes.into_iter().find(|shape| parts.ends_with(shape))?;
    let length: usize = shape.iter().map(|part| part + 1).sum();
    model.get(..model.len() - length)
}
