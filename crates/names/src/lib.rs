//! Which names a cache may have. The rules stand in the WIT package.

/// The longest name, in bytes: file systems take 255, and the name of a file
/// from before the store's own format is a few bytes longer than the cache's.
pub const LONGEST: usize = 200;

/// What a file from before the store's own format is called after its cache.
pub const LEGACY_SUFFIX: &str = ".postcard";

/// Checks a cache name; says which rule it breaks.
pub fn check(name: &str) -> Result<(), &'static str> {
    let is_reserved = |c: char| matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|');
    let forbidden = |c: char| c.is_control() || is_reserved(c);
    if name.is_empty() {
        Err("a cache name is not empty")
    } else if name.len() > LONGEST {
        Err("a cache name has at most 200 bytes")
    } else if name.contains(forbidden) {
        Err(r#"a cache name has no control characters and none of / \ : * ? " < > |"#)
    } else if name.starts_with(['.', ' ']) || name.ends_with(['.', ' ']) {
        Err("a cache name neither starts nor ends with a dot or a space")
    } else if name.ends_with(LEGACY_SUFFIX) {
        Err("a cache name does not end in .postcard")
    } else {
        Ok(())
    }
}
