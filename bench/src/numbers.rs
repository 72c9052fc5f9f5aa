//! Conversions of counts and rates, and figures as they are printed.

/// A count as a measurement.
#[allow(clippy::cast_precision_loss)] // nothing that is counted here comes near to 2^53
pub fn to_f64(count: u64) -> f64 {
    count as f64
}

/// A rate or a product of one as a count.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // not negative, and far below the largest there is
pub fn to_u64(count: f64) -> u64 {
    count as u64
}

/// Three digits, and all of a large number's that stand before the point.
pub fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => count(to_u64(value.round())),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// With a comma before every three digits.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        assert_eq!(["12,346", "12.3", "1.23", "0.123"].map(str::to_owned), [12_345.6, 12.34, 1.234, 0.1234].map(figure));
        assert_eq!((count(0), count(1_000_000)), ("0".to_owned(), "1,000,000".to_owned()));
    }
}
