//! Ages as people write them: `90m`, `2h`, `3d4h`.

use std::time::Duration;

/// Formats an age in its two largest units, in the syntax that [`parse`] reads: `3d4h`.
pub(crate) fn text(age: Duration) -> String {
    let seconds = age.as_secs();
    let units = [
        (seconds / 86_400, "d"),
        (seconds / 3600 % 24, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ];
    let largest = units.iter().position(|(count, _)| *count > 0).unwrap_or(3);
    let shown = units.iter().skip(largest).take(2);
    let shown = shown.filter(|(count, _)| *count > 0 || seconds == 0);
    shown
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect()
}

/// Parses `90s`, `30m`, `2h`, `1d`, or a sequence of them.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let (mut total, mut rest) = (0u64, text);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = rest.split_at(end);
        let seconds = match unit.chars().next()? {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return None,
        };
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(seconds)?)?;
        rest = &unit[1..];
    }
    (!text.is_empty()).then(|| Duration::from_secs(total))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{parse, text};

    #[test]
    fn ages_are_written_as_they_are_read() {
        for (seconds, written) in [
            (0, "0s"),
            (59, "59s"),
            (7200, "2h"),
            (7260, "2h1m"),
            (273_600, "3d4h"),
            (259_205, "3d"),
        ] {
            assert_eq!(text(Duration::from_secs(seconds)), written);
        }
    }

    #[test]
    fn ages_are_read() {
        let seconds = |text| parse(text).map(|age| age.as_secs());
        assert_eq!(seconds("2h"), Some(7200));
        assert_eq!(seconds("1d2h3m4s"), Some(93_784));
        assert_eq!(seconds("0s"), Some(0));
        for bad in [
            "",
            "2",
            "h",
            "-1h",
            "2w",
            "2é",
            "99999999999999999999d",
            "18446744073709551615d",
        ] {
            assert_eq!(seconds(bad), None, "{bad:?}");
        }
    }
}
