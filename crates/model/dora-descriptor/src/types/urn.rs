//! Names of types, and which type may be sent where another is expected.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::model::TypeRule;

/// A type's name: what stands before the brackets, and the parameters in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Urn<'a> {
    pub(crate) base: &'a str,
    pub(crate) params: Vec<(&'a str, &'a str)>,
}

impl<'a> Urn<'a> {
    /// Reads `base` or `base[name=value,...]`.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let Some((base, rest)) = text.split_once('[') else {
            return Some(Self { base: text, params: Vec::new() }).filter(|_| !text.is_empty() && !text.contains(']'));
        };
        let params = rest.strip_suffix(']')?.split(',').map(|param| {
            let (name, value) = param.split_once('=')?;
            Some((name.trim(), value.trim())).filter(|(name, value)| !name.is_empty() && !value.is_empty())
        });
        let params = params.collect::<Option<Vec<_>>>()?;
        (!base.is_empty()).then_some(Self { base, params })
    }

    /// Whether no parameter has two values. One that only one side names may be anything.
    fn agrees(&self, other: &Urn<'_>) -> bool {
        self.params.iter().all(|(name, value)| {
            other.params.iter().all(|(other_name, other_value)| name != other_name || value == other_value)
        })
    }
}

/// A value of any type may be sent where bytes are expected.
const ANYTHING: &str = "std/core/v1/Bytes";
/// Rules that are applied one after the other at most, so that no chain surprises anybody.
const MAX_STEPS: u32 = 3;
/// Numbers that fit into larger ones.
const WIDENING: [(&str, &str); 4] = [
    ("std/core/v1/UInt8", "std/core/v1/UInt32"),
    ("std/core/v1/UInt32", "std/core/v1/UInt64"),
    ("std/core/v1/Int32", "std/core/v1/Int64"),
    ("std/core/v1/Float32", "std/core/v1/Float64"),
];

/// Which type may be sent where another is expected.
pub(crate) struct Rules<'a> {
    steps: HashMap<&'a str, Vec<&'a str>>,
}

impl<'a> Rules<'a> {
    /// The built-in rules and those of the user.
    pub(crate) fn new(user: &'a [TypeRule]) -> Self {
        let mut steps: HashMap<&str, Vec<&str>> = HashMap::new();
        for (from, to) in WIDENING.into_iter().chain(user.iter().map(|rule| (rule.from.as_str(), rule.to.as_str()))) {
            steps.entry(from).or_default().push(to);
        }
        Self { steps }
    }

    /// Whether `sent` may be sent where `expected` is expected.
    pub(crate) fn fits(&self, sent: &Urn<'_>, expected: &Urn<'_>) -> bool {
        if sent.base == expected.base {
            return sent.agrees(expected);
        }
        if expected.base == ANYTHING {
            return true;
        }
        let mut seen = HashSet::from([sent.base]);
        let mut queue = VecDeque::from([(sent.base, 0)]);
        while let Some((base, steps)) = queue.pop_front() {
            for next in self.steps.get(base).into_iter().flatten().filter(|_| steps < MAX_STEPS) {
                if *next == expected.base {
                    return true;
                }
                if seen.insert(next) {
                    queue.push_back((next, steps + 1));
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(rules: &Rules<'_>, sent: &str, expected: &str) -> bool {
        rules.fits(&Urn::parse(sent).unwrap(), &Urn::parse(expected).unwrap())
    }

    #[test]
    fn names() {
        assert_eq!(Urn::parse("a/T[x=1, y=2]").unwrap().params, [("x", "1"), ("y", "2")]);
        for bad in ["", "a/T[", "a/T[]", "a/T[=1]", "a/T[x=]", "[x=1]", "a/T]"] {
            assert_eq!(Urn::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn rules() {
        let rule = |from: &str, to: &str| TypeRule { from: from.to_owned(), to: to.to_owned() };
        let user = [rule("a", "b"), rule("b", "c"), rule("c", "d"), rule("d", "e")];
        let rules = Rules::new(&user);
        for (sent, expected) in [
            ("x/T[a=1]", "x/T"),
            ("x/T[a=1]", "x/T[b=2]"),
            ("x/T", ANYTHING),
            ("std/core/v1/UInt8", "std/core/v1/UInt64"),
            ("a", "d"),
        ] {
            assert!(fits(&rules, sent, expected), "{sent} {expected}");
        }
        for (sent, expected) in
            [("x/T[a=1]", "x/T[a=2]"), ("x/T", "y/T"), ("std/core/v1/Int64", "std/core/v1/Int32"), ("a", "e")]
        {
            assert!(!fits(&rules, sent, expected), "{sent} {expected}");
        }
    }
}
