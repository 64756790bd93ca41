//! The subset of DER (X.690) that is needed to replace a name in a certificate.

/// Splits off the first element: (whole element, rest).
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (header, length) = header(bytes)?;
    bytes.split_at_checked(header.checked_add(length)?)
}

/// Returns the sizes of an element's header and contents. Supports tags of one byte and lengths of up to four, which
/// is sufficient for certificates.
fn header(bytes: &[u8]) -> Option<(usize, usize)> {
    let first = *bytes.get(1)?;
    if first < 0x80 {
        return Some((2, first.into()));
    }
    let count = usize::from(first & 0x7f);
    if count == 0 || count > 4 {
        return None;
    }
    let digits = bytes.get(2..2 + count)?;
    let length = digits
        .iter()
        .fold(0usize, |length, digit| length << 8 | usize::from(*digit));
    Some((2 + count, length))
}

/// Encodes an element from a tag and contents.
fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    match u8::try_from(contents.len()) {
        Ok(short) if short < 0x80 => bytes.push(short),
        _ => {
            let digits = contents.len().to_be_bytes();
            let digits: Vec<u8> = digits.into_iter().skip_while(|d| *d == 0).collect();
            bytes.push(0x80 | digits.len() as u8);
            bytes.extend(digits);
        }
    }
    bytes.extend(contents);
    bytes
}

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;

/// Replaces the issuer's name in a certificate and signs it again, with the same algorithm. `None` where the input is
/// not a certificate, or the signature fails.
///
/// The layout is RFC 5280, section 4.1: version, serial number, algorithm, issuer, and more.
pub(crate) fn with_issuer(
    certificate: &[u8],
    issuer: &[u8],
    sign: impl FnOnce(&[u8]) -> Option<Vec<u8>>,
) -> Option<Vec<u8>> {
    let (outer, _) = header(certificate)?;
    let (to_be_signed, rest) = split(certificate.get(outer..)?)?;
    let (algorithm, _) = split(rest)?;
    let (inner, _) = header(to_be_signed)?;
    let fields = to_be_signed.get(inner..)?;
    let mut behind = fields;
    for _ in 0..3 {
        behind = split(behind)?.1;
    }
    let before = fields.get(..fields.len() - behind.len())?;
    let (_, behind) = split(behind)?;

    let to_be_signed = element(SEQUENCE, &[before, issuer, behind].concat());
    // A bit string begins with its number of unused bits.
    let mut signature = vec![0];
    signature.extend(sign(&to_be_signed)?);
    let signature = element(BIT_STRING, &signature);
    Some(element(
        SEQUENCE,
        &[&to_be_signed, algorithm, &signature].concat(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_every_size_round_trip() {
        for length in [0, 1, 127, 128, 255, 256, 65535, 65536] {
            let made = element(SEQUENCE, &vec![7; length]);
            let (header, read) = header(&made).unwrap();
            assert_eq!((read, made.len()), (length, header + length));
            assert_eq!(split(&made).unwrap(), (&made[..], &[][..]));
        }
    }

    #[test]
    fn malformed_certificates_are_refused() {
        let sign = |_: &[u8]| Some(vec![1]);
        for bytes in [
            &[][..],
            &[0x30],
            &[0x30, 0x80],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[0x30, 0x85, 1, 1, 1, 1, 1],
            &[0x30, 0x03, 0x30, 0x01, 0x00],
        ] {
            assert_eq!(with_issuer(bytes, &[], sign), None, "{bytes:?}");
        }
    }
}
