//! Output on a terminal: tables, lines, byte counts.

use std::io::{ErrorKind, Write};

use comfy_table::{ContentArrangement, Table, presets};

use crate::failed::Failed;

/// A table with a header, as wide as the terminal at most.
pub fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header).add_rows(rows);
    table.to_string()
}

/// Prints a line. False once the pipe is closed (`… | head`), which is no error.
pub fn line(out: &mut impl Write, text: &str) -> Result<bool, Failed> {
    match writeln!(out, "{text}") {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Prints one text to the standard output.
pub fn print(text: &str) -> Result<(), Failed> {
    line(&mut std::io::stdout().lock(), text.trim_end_matches('\n')).map(drop)
}

/// An amount of bytes for a person.
pub fn bytes(amount: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB")];
    match UNITS.iter().find(|(unit, _)| amount >= *unit) {
        Some((unit, name)) => format!("{}.{} {name}", amount / unit, amount % unit * 10 / unit),
        None => format!("{amount} bytes"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn bytes_are_shown_in_the_largest_unit_that_fits() {
        assert_eq!(super::bytes(999), "999 bytes");
        assert_eq!(super::bytes(1_572_864), "1.5 MB");
    }
}
