//! Durations as users type them.

use std::time::Duration;

/// Parses a duration of whole days, hours, minutes and seconds: `6h`, `90m`, `1h30m`, `45s`, `2d`. Returns `None` for
/// any other text, such as a number without a unit.
pub fn duration(text: &str) -> Option<Duration> {
    let (mut seconds, mut digits) = (0u64, String::new());
    for c in text.chars() {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        let unit = match c {
            'd' => 86_400,
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        let number: u64 = std::mem::take(&mut digits).parse().ok()?;
        seconds = seconds.checked_add(number.checked_mul(unit)?)?;
    }
    (digits.is_empty() && !text.is_empty()).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, seconds) in [
            ("6h", 21_600),
            ("1h30m", 5400),
            ("45s", 45),
            ("2d", 172_800),
            ("0s", 0),
        ] {
            assert_eq!(duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "5", "m", "1.5h", "-1h", "1h30", "99999999999999999999s"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
