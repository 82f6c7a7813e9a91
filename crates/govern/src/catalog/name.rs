//! Model names as callers write them: in any case, with dates, versions and regions that the catalog does
//! not list one by one.
//!
//! Only whole affixes of known shapes are dropped. Anything else (`-mini`, `:free`) is another model.

use std::cmp::Ordering;
use std::iter::successors;

/// Orders names without regard to ASCII case.
pub fn same_order(one: &str, other: &str) -> Ordering {
    let lower = |byte: u8| byte.to_ascii_lowercase();
    one.bytes().map(lower).cmp(other.bytes().map(lower))
}

/// The spellings to look for, the given one first: then each suffix less, then all of it without a
/// region.
pub fn forms(name: &str) -> impl Iterator<Item = &str> {
    let bare = unregioned(name);
    successors(Some(name), |name| shortened(name)).chain(successors(bare, |name| shortened(name)))
}

/// The name less one suffix: `-latest`, a date (`-2025-08-07`, `-20250807`, `@20250807`, `-08-2025`) or a
/// version (`-v1:0`, `:0`).
fn shortened(name: &str) -> Option<&str> {
    /// `0` stands for any digit.
    const SUFFIXES: [&str; 9] = [
        "-latest",
        "@latest",
        "@default",
        "-0000-00-00",
        "-00000000",
        "@00000000",
        "-00-0000",
        "-v0:0",
        ":0",
    ];
    SUFFIXES.iter().find_map(|suffix| {
        let (short, tail) = name.split_at_checked(name.len().checked_sub(suffix.len())?)?;
        (!short.is_empty() && has_shape(tail, suffix)).then_some(short)
    })
}

fn has_shape(text: &str, shape: &str) -> bool {
    text.len() == shape.len()
        && text.bytes().zip(shape.bytes()).all(|(byte, wanted)| match wanted {
            b'0' => byte.is_ascii_digit(),
            _ => byte.eq_ignore_ascii_case(&wanted),
        })
}

/// The name without the region that some hosts put before it.
fn unregioned(name: &str) -> Option<&str> {
    const REGIONS: [&str; 9] = ["us", "eu", "apac", "global", "jp", "au", "ca", "in", "us-gov"];
    let (region, rest) = name.split_once('.')?;
    REGIONS.iter().any(|known| region.eq_ignore_ascii_case(known)).then_some(rest)
}

/// The text is the name of a cloud's region or zone (`us-east-1`, `eu`, `global-standard`).
pub fn is_region(text: &str) -> bool {
    const AREAS: [&str; 16] = [
        "us", "eu", "ap", "apac", "ca", "sa", "me", "af", "il", "mx", "au", "jp", "in", "uk", "asia",
        "global",
    ];
    let mut parts = text.split('-');
    let known = parts.next().is_some_and(|area| AREAS.contains(&area));
    known
        && parts.all(|part| {
            !part.is_empty()
                && part.len() <= 10
                && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(name: &str) -> Vec<&str> {
        forms(name).collect()
    }

    #[test]
    fn dates_and_versions_are_dropped_one_by_one() {
        assert_eq!(all("gpt-4o"), ["gpt-4o"]);
        assert_eq!(all("gpt-4o-2024-11-20"), ["gpt-4o-2024-11-20", "gpt-4o"]);
        assert_eq!(all("m-20250929"), ["m-20250929", "m"]);
        assert_eq!(all("m@20250929"), ["m@20250929", "m"]);
        assert_eq!(all("command-a-03-2025"), ["command-a-03-2025", "command-a"]);
        assert_eq!(all("M-LATEST"), ["M-LATEST", "M"]);
        assert_eq!(all("a.m-20250929-v1:0"), ["a.m-20250929-v1:0", "a.m-20250929", "a.m"]);
    }

    #[test]
    fn a_region_is_dropped_after_everything_else() {
        assert_eq!(all("us.a.m-v1:0"), ["us.a.m-v1:0", "us.a.m", "a.m-v1:0", "a.m"]);
        assert_eq!(all("usa.m"), ["usa.m"]);
    }

    #[test]
    fn other_suffixes_are_other_models() {
        for name in
            ["gpt-4o-mini", "m:free", "m-2024", "m-0613", "m-v1:10", "latest", "-latest", "", "ä-latest2"]
        {
            assert_eq!(all(name), [name]);
        }
    }

    #[test]
    fn regions_are_told_from_makers() {
        for region in ["us-east-1", "us-gov-west-1", "eu", "global-standard", "ap-southeast-3"] {
            assert!(is_region(region), "{region}");
        }
        for name in ["anthropic", "meta-llama", "accounts", "", "us_east", "us.anthropic", "usa", "us-"] {
            assert!(!is_region(name), "{name}");
        }
    }

    #[test]
    fn order_ignores_case_only() {
        assert_eq!(same_order("GLM-4.5", "glm-4.5"), Ordering::Equal);
        assert_eq!(same_order("a", "B"), Ordering::Less);
        assert_eq!(same_order("a", "ab"), Ordering::Less);
    }
}
