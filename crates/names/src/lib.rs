//! The rules for cache names, which the WIT package `larder:cache` sets.
//!
//! A backend or a host checks a name before it uses it:
//!
//! ```
//! assert_eq!(larder_names::check("sessions"), Ok(()));
//! assert_eq!(larder_names::check(""), Err("a cache name is not empty"));
//! ```

/// The longest name, in bytes.
///
/// File systems allow 255 bytes. The name of a file from before Larder's own format is a few bytes
/// longer than the cache name.
pub const LONGEST: usize = 200;

/// The end of the name of a file from before Larder's own format. The beginning is the cache name.
pub const LEGACY_SUFFIX: &str = ".postcard";

/// Checks a cache name.
///
/// # Errors
///
/// If the name breaks a rule; the text is the rule.
///
/// ```
/// let longest = "n".repeat(larder_names::LONGEST);
/// assert!(larder_names::check(&longest).is_ok());
///
/// for name in ["", ".hidden", "a/b", "ends with a dot.", "old.postcard", &(longest + "n")] {
///     let rule = larder_names::check(name).unwrap_err();
///     println!("{name:?}: {rule}");
/// }
/// ```
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

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_and_unusual_names_within_the_rules_are_valid() {
        let longest = "n".repeat(LONGEST);
        for name in ["sessions", "a b", "ü", "日本", "a.b", "-", "~", &longest] {
            assert_eq!(check(name), Ok(()), "{name:?}");
        }
    }

    #[test]
    fn a_name_that_breaks_a_rule_is_refused_with_that_rule() {
        let too_long = "n".repeat(LONGEST + 1);
        // 101 characters of two bytes each.
        let too_many_bytes = "ü".repeat(101);
        for (name, rule) in [
            ("", "empty"),
            (too_long.as_str(), "200 bytes"),
            (&too_many_bytes, "200 bytes"),
            (".hidden", "dot"),
            ("end.", "dot"),
            (" a", "space"),
            ("a ", "space"),
            ("a.postcard", ".postcard"),
            ("a\0b", "control"),
            ("a\nb", "control"),
        ] {
            let refused = check(name).expect_err(name);
            assert!(refused.contains(rule), "{name:?}: {refused}");
        }
        for separator in r#"/\:*?"<>|"#.chars() {
            assert!(check(&format!("a{separator}b")).is_err(), "{separator}");
        }
    }
}
