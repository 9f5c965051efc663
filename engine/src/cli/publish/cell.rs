//! Turns CSV cells into JSON values without losing anything.

/// The most digits that every reader's 64-bit float gives back unchanged, whatever they are.
const SAFE_DIGITS: usize = 15;

/// Appends a cell as JSON. An empty cell is `null`, `true` and `false` are booleans, plain decimal numbers are numbers
/// with the very digits of the file. All else stays text: ids with leading zeros, exponents, `+1`, card numbers and other
/// long integers, decimals that a 64-bit float does not give back digit for digit.
pub(super) fn push_typed(json: &mut Vec<u8>, cell: &str) {
    match cell {
        "" => json.extend_from_slice(b"null"),
        "true" | "false" => json.extend_from_slice(cell.as_bytes()),
        _ if is_lossless_number(cell) => json.extend_from_slice(cell.as_bytes()),
        _ => push_text(json, cell),
    }
}

/// Appends text as a JSON string.
pub(super) fn push_text(json: &mut Vec<u8>, text: &str) {
    const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    json.push(b'"');
    // Multi-byte characters need no escape, so bytes are enough to look at.
    for byte in text.bytes() {
        match byte {
            b'"' => json.extend_from_slice(b"\\\""),
            b'\\' => json.extend_from_slice(b"\\\\"),
            b'\n' => json.extend_from_slice(b"\\n"),
            b'\r' => json.extend_from_slice(b"\\r"),
            b'\t' => json.extend_from_slice(b"\\t"),
            0..=0x1f => {
                json.extend_from_slice(b"\\u00");
                for nibble in [byte >> 4, byte & 0xf] {
                    let digit = HEX.get(usize::from(nibble)).copied().unwrap_or('0');
                    json.push(digit as u8);
                }
            }
            _ => json.push(byte),
        }
    }
    json.push(b'"');
}

/// Whether the text is a JSON number that reads back as the same text's value everywhere.
fn is_lossless_number(cell: &str) -> bool {
    let unsigned = cell.strip_prefix('-').unwrap_or(cell);
    let (whole, fraction) = match unsigned.split_once('.') {
        Some((_, "")) => return false,
        Some((whole, fraction)) => (whole, fraction),
        None => (unsigned, ""),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let minus_nothing = cell.starts_with('-') && unsigned.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    !whole.is_empty()
        && digits(whole)
        && digits(fraction)
        && (whole == "0" || !whole.starts_with('0'))
        && !minus_nothing
        && (whole.len() + fraction.len() <= SAFE_DIGITS
            || (!fraction.is_empty() && is_a_floats_own_text(cell)))
}

/// Whether the text is how a 64-bit float is written: `52.300000000000004` has 17 digits and loses none of them.
fn is_a_floats_own_text(cell: &str) -> bool {
    cell.parse::<f64>().is_ok_and(|number| number.to_string() == cell)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_keep_what_they_say() {
        for (cell, wanted) in [
            ("", "null"),
            ("true", "true"),
            ("True", "\"True\""),
            ("0", "0"),
            ("-7", "-7"),
            ("146.0", "146.0"),
            ("0.50", "0.50"),
            ("-0.5", "-0.5"),
            ("999999999999999", "999999999999999"),
            ("1234567890123456", "\"1234567890123456\""),
            ("4000000000001234", "\"4000000000001234\""),
            ("52.300000000000004", "52.300000000000004"),
            ("-326.04999999999995", "-326.04999999999995"),
            ("0.10000000000000001", "\"0.10000000000000001\""),
            ("12345678901234567.5", "\"12345678901234567.5\""),
            ("007", "\"007\""),
            ("00", "\"00\""),
            ("-0", "\"-0\""),
            ("-0.0", "\"-0.0\""),
            ("+1", "\"+1\""),
            ("1e5", "\"1e5\""),
            (".5", "\".5\""),
            ("5.", "\"5.\""),
            ("-", "\"-\""),
            ("1.2.3", "\"1.2.3\""),
            (" 1", "\" 1\""),
            ("NaN", "\"NaN\""),
            ("2018-04-01T00:00:31Z", "\"2018-04-01T00:00:31Z\""),
            ("a\"b\\c\n\u{1}é", "\"a\\\"b\\\\c\\n\\u0001é\""),
        ] {
            let mut json = Vec::new();
            push_typed(&mut json, cell);
            assert_eq!(String::from_utf8(json.clone()).unwrap(), wanted, "{cell:?}");
            let value: serde_json::Value = serde_json::from_slice(&json).unwrap();
            if let Some(text) = value.as_str() {
                assert_eq!(text, cell);
            }
        }
    }

    #[test]
    fn every_control_character_survives() {
        let text: String = (0..0x80_u8).map(char::from).collect();
        let mut json = Vec::new();
        push_text(&mut json, &text);
        assert_eq!(serde_json::from_slice::<String>(&json).unwrap(), text);
    }
}
