//! Columns as wide as what stands in them.

use super::Paint;

/// A head and its rows. The last column is not padded, and it may be painted.
pub(in crate::cli) fn table<const N: usize>(
    head: [&str; N],
    rows: &[[String; N]],
    paint: Paint,
) -> String {
    let head = head.map(str::to_owned);
    let widths: [usize; N] = std::array::from_fn(|at| {
        let all = std::iter::once(&head).chain(rows);
        all.map(|row| row[at].chars().count()).max().unwrap_or(0)
    });
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).enumerate();
        cells.fold(String::new(), |line, (at, (cell, width))| match at + 1 {
            last if last == N => line + cell,
            _ => format!("{line}{cell:width$}  "),
        })
    };
    let rows = rows.iter().map(line);
    let lines = std::iter::once(paint.bold(&line(&head))).chain(rows);
    lines.map(|line| line + "\n").collect()
}
