//! Suggests the nearest known word for a mistyped one.

/// Returns the known word that is nearest to `word`, if at most two letters differ: for short words one, for the
/// shortest none. Among equally near words, returns the first.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let most = match word.chars().count() {
        0..=2 => 0,
        3..=5 => 1,
        _ => 2,
    };
    let mut found: Option<(usize, &str)> = None;
    for candidate in known {
        let distance = edit_distance(word, candidate);
        if distance <= most && found.is_none_or(|(least, _)| distance < least) {
            found = Some((distance, candidate));
        }
    }
    found.map(|(_, candidate)| candidate)
}

/// Counts the letters to insert, delete, replace or swap with their neighbour (optimal string alignment).
fn edit_distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let mut least = (last[j] + usize::from(a != b))
                .min(last[j + 1] + 1)
                .min(row[j] + 1);
            let swapped = i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b;
            if swapped {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_differs_by_two_letters_at_most() {
        let regions = ["us-east-1", "us-east-2", "eu-west-1"];
        assert_eq!(nearest("us-esat-1", regions), Some("us-east-1"));
        assert_eq!(nearest("us-eats-2", regions), Some("us-east-2"));
        assert_eq!(nearest("useast1", regions), Some("us-east-1"));
        assert_eq!(nearest("eu-nowhere-1", regions), None);
        assert_eq!(nearest("fihs", ["bash", "fish"]), Some("fish"));
        assert_eq!(nearest("x", ["y"]), None);
        assert_eq!(nearest("", ["a"]), None);
    }
}
