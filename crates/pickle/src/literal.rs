//! Text and strings in the form of protocol 0: on one line, with escapes.

/// Decodes text; `None` if it holds lone surrogates.
pub fn raw_unicode_escape(line: &[u8]) -> Result<Option<String>, &'static str> {
    let mut text = Some(String::with_capacity(line.len()));
    let mut rest = line;
    while let [byte, after @ ..] = rest {
        let (code, after) = match rest {
            [b'\\', b'u', after @ ..] => hex(after, 4)?,
            [b'\\', b'U', after @ ..] => hex(after, 8)?,
            // Only these two are escapes. After any other backslash, a character stands for itself.
            [b'\\', next, after @ ..] => {
                text.iter_mut().for_each(|text| text.push('\\'));
                (u32::from(*next), after)
            }
            _ => (u32::from(*byte), after),
        };
        match char::from_u32(code) {
            Some(char) => text.iter_mut().for_each(|text| text.push(char)),
            None if code < 0x11_0000 => text = None,
            None => return Err("an escape beyond Unicode"),
        }
        rest = after;
    }
    Ok(text)
}

/// Decodes a quoted string, as Python 2 writes it.
pub fn quoted(line: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut rest = match line {
        [b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"'] => inner,
        _ => return Err("a string without quotes"),
    };
    let mut bytes = Vec::with_capacity(rest.len());
    while let [byte, after @ ..] = rest {
        let (byte, after) = match rest {
            [b'\\', b'x', digits @ ..] => {
                let (code, after) = hex(digits, 2)?;
                (code as u8, after)
            }
            [b'\\', escape, after @ ..] => match escape {
                b'\\' | b'\'' | b'"' => (*escape, after),
                b'n' => (b'\n', after),
                b'r' => (b'\r', after),
                b't' => (b'\t', after),
                _ => return Err("an escape that is not known"),
            },
            _ => (*byte, after),
        };
        bytes.push(byte);
        rest = after;
    }
    Ok(bytes)
}

/// A number of so many hexadecimal digits, and the bytes after it.
fn hex(bytes: &[u8], digits: usize) -> Result<(u32, &[u8]), &'static str> {
    let (number, rest) = bytes
        .split_at_checked(digits)
        .ok_or("an escape that is cut short")?;
    let mut code = 0;
    for &digit in number {
        let digit = char::from(digit).to_digit(16);
        code = code << 4 | digit.ok_or("an escape that is not a number")?;
    }
    Ok((code, rest))
}
