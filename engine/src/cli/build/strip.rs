//! Taking the debugger's tables out of a core module. The names of functions stay: backtraces are made of them.

/// How every module begins: the magic number and the version.
const HEADER_BYTES: usize = 8;
/// The kind of a section that says nothing about what the module does.
const CUSTOM: u8 = 0;
/// What the names of a debugger's sections begin with.
const DEBUG: &[u8] = b".debug_";

/// The module without the sections of a debugger; bytes that are no module stay as they are, for others to refuse.
#[must_use]
pub fn without_debug_sections(module: &[u8]) -> Vec<u8> {
    stripped(module).unwrap_or_else(|| module.to_vec())
}

fn stripped(module: &[u8]) -> Option<Vec<u8>> {
    let (header, mut rest) = module.split_at_checked(HEADER_BYTES)?;
    let mut kept = header.to_vec();
    while let Some((&kind, after_kind)) = rest.split_first() {
        let (size, after_size) = number(after_kind)?;
        let (body, next) = after_size.split_at_checked(size)?;
        let is_debug = kind == CUSTOM && {
            let (length, name) = number(body)?;
            name.get(..length)?.starts_with(DEBUG)
        };
        if !is_debug {
            kept.extend_from_slice(rest.get(..rest.len() - next.len())?);
        }
        rest = next;
    }
    Some(kept)
}

/// A number in the format's own coding, seven bits a byte, and what follows it.
fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_u64;
    // Five bytes hold 32 bits, the most that a size has.
    for (at, byte) in bytes.iter().enumerate().take(5) {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, bytes.get(at + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(kind: u8, body: &[u8]) -> Vec<u8> {
        let size = u8::try_from(body.len()).unwrap();
        [&[kind, size | 0x80, 0], body].concat()
    }

    #[test]
    fn names_stay_and_tables_go() {
        let header = b"\0asm\x01\0\0\0".to_vec();
        let (kept, debug) = (section(0, b"\x04namexyz"), section(0, b"\x0b.debug_infoxyz"));
        let code = section(10, b"\x0b.debug_info");
        let module = [&header[..], &debug, &code, &kept, &debug].concat();
        assert_eq!(without_debug_sections(&module), [&header[..], &code, &kept].concat());
        for odd in
            [&b""[..], b"\0asm", b"\0asm\x01\0\0\0\x00\xff\xff\xff\xff\xff\xff", b"\0asm\x01\0\0\0\x01\x05"]
        {
            assert_eq!(without_debug_sections(odd), odd);
        }
    }
}
