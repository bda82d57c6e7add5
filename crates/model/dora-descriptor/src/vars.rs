//! Environment variables in `env` values, and parameters of modules.
//!
//! Each text is expanded once: what a variable holds is not looked at again.

/// Nesting of defaults (`${A:-${B:-...}}`) that is accepted.
const MAX_NESTING: usize = 8;

/// Why a text cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum VarError {
    /// Not set, and no default is given.
    Unset(String),
    /// A parameter that the module was not given; the names of those it was.
    UnknownParam(String),
    /// `${` without `}`, or something else than a name in between.
    Malformed(String),
}

/// Where variables and parameters come from.
#[derive(Clone, Copy)]
pub(crate) struct Vars<'a> {
    pub(crate) env: &'a dyn Fn(&str) -> Option<String>,
    /// Parameters of the module that the text stands in; `None` in a dataflow file.
    pub(crate) params: Option<&'a [(String, String)]>,
}

impl Vars<'_> {
    /// Expands `$NAME`, `${NAME}`, `${NAME:-default}` and `$$`; in a module also `${_param.name}`.
    ///
    /// A default stands in for a variable that is not set; one that is set but empty stays empty.
    pub(crate) fn expand(&self, text: &str) -> Result<String, VarError> {
        self.expand_nested(text, 0)
    }

    fn expand_nested(&self, text: &str, nesting: usize) -> Result<String, VarError> {
        let mut result = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            result.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                result.push('$');
                rest = after;
            } else if let Some(after) = rest.strip_prefix('{') {
                let end = closing_brace(after).ok_or_else(|| VarError::Malformed(format!("${rest}")))?;
                result.push_str(&self.braced(&after[..end], nesting)?);
                rest = &after[end + 1..];
            } else {
                let end = name_length(rest);
                match end {
                    0 => result.push('$'),
                    _ => result.push_str(&self.lookup(&rest[..end])?),
                }
                rest = &rest[end..];
            }
        }
        result.push_str(rest);
        Ok(result)
    }

    /// What stands between `${` and `}`.
    fn braced(&self, inner: &str, nesting: usize) -> Result<String, VarError> {
        if let Some(param) = inner.strip_prefix("_param.") {
            return self.param(param).ok_or_else(|| VarError::UnknownParam(param.to_owned()));
        }
        let (name, default) = match inner.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inner, None),
        };
        if name.is_empty() || name_length(name) != name.len() || nesting >= MAX_NESTING {
            return Err(VarError::Malformed(format!("${{{inner}}}")));
        }
        match (self.lookup(name), default) {
            (Err(VarError::Unset(_)), Some(default)) => self.expand_nested(default, nesting + 1),
            (result, _) => result,
        }
    }

    fn lookup(&self, name: &str) -> Result<String, VarError> {
        let param = name.strip_prefix("PARAM_").and_then(|upper| self.upper_param(upper));
        param.or_else(|| (self.env)(name)).ok_or_else(|| VarError::Unset(name.to_owned()))
    }

    fn param(&self, name: &str) -> Option<String> {
        self.params?.iter().find(|(param, _)| param == name).map(|(_, value)| value.clone())
    }

    fn upper_param(&self, upper: &str) -> Option<String> {
        self.params?.iter().find(|(param, _)| param.to_uppercase() == upper).map(|(_, value)| value.clone())
    }

    /// Replaces `$PARAM_NAME` and `${_param.name}`, and leaves everything else as it is: `args` are not expanded
    /// otherwise. A `$PARAM_NAME` that is no parameter is left too; it may mean something to the program.
    pub(crate) fn substitute(&self, text: &str) -> Result<String, VarError> {
        const BRACED: &str = "${_param.";
        const PLAIN: &str = "$PARAM_";
        if self.params.is_none() {
            return Ok(text.to_owned());
        }
        let mut result = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            result.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(after) = rest.strip_prefix(BRACED) {
                let end = after.find('}').ok_or_else(|| VarError::Malformed(rest.to_owned()))?;
                let name = &after[..end];
                result.push_str(&self.param(name).ok_or_else(|| VarError::UnknownParam(name.to_owned()))?);
                rest = &after[end + 1..];
                continue;
            }
            let token = 1 + name_length(&rest[1..]);
            let value = rest[..token].strip_prefix(PLAIN).and_then(|upper| self.upper_param(upper));
            result.push_str(value.as_deref().unwrap_or(&rest[..token]));
            rest = &rest[token..];
        }
        result.push_str(rest);
        Ok(result)
    }

    /// Names of the parameters.
    pub(crate) fn param_names(&self) -> impl Iterator<Item = &str> + Clone {
        self.params.unwrap_or_default().iter().map(|(name, _)| name.as_str())
    }
}

/// Makes a text that expands to `text`.
pub(crate) fn escape(text: &str) -> String {
    text.replace('$', "$$")
}

/// Bytes of the name at the start of a text.
fn name_length(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())
}

/// Where the brace closes that was opened before `text`.
fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "HOME" => Some("/home/ada".to_owned()),
            "EMPTY" => Some(String::new()),
            "DOLLAR" => Some("$HOME".to_owned()),
            _ => None,
        }
    }

    fn expand(text: &str) -> Result<String, VarError> {
        Vars { env: &env, params: None }.expand(text)
    }

    #[test]
    fn variables_are_expanded_once() {
        for (text, expected) in [
            ("$HOME/x", "/home/ada/x"),
            ("${HOME}x", "/home/adax"),
            ("${NONE:-y}z", "yz"),
            ("${EMPTY:-y}z", "z"),
            ("${NONE:-${HOME}/b}", "/home/ada/b"),
            ("${NONE:-}", ""),
            ("$DOLLAR", "$HOME"),
            ("$$HOME", "$HOME"),
            ("100$", "100$"),
            ("$5", "$5"),
            ("\u{e9}$HOME\u{e9}", "\u{e9}/home/ada\u{e9}"),
        ] {
            assert_eq!(expand(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(expand("a $NONE"), Err(VarError::Unset("NONE".to_owned())));
        assert_eq!(expand("${NONE"), Err(VarError::Malformed("${NONE".to_owned())));
        assert_eq!(expand("${}"), Err(VarError::Malformed("${}".to_owned())));
        assert_eq!(expand("${A B}"), Err(VarError::Malformed("${A B}".to_owned())));
        assert_eq!(expand("${_param.x}"), Err(VarError::UnknownParam("x".to_owned())));
        assert!(expand(&format!("{}{}", "${A:-".repeat(100), "}".repeat(100))).is_err());
    }

    #[test]
    fn parameters_are_substituted_at_word_boundaries() {
        let params = [("speed".to_owned(), "$PARAM_MODE".to_owned()), ("mode".to_owned(), "a b".to_owned())];
        let vars = Vars { env: &env, params: Some(&params) };
        for (text, expected) in [
            ("--speed $PARAM_SPEED,${_param.mode}", "--speed $PARAM_MODE,a b"),
            ("$PARAM_SPEED_LIMIT $HOME $$ $", "$PARAM_SPEED_LIMIT $HOME $$ $"),
        ] {
            assert_eq!(vars.substitute(text).as_deref(), Ok(expected), "{text}");
        }
        assert_eq!(vars.substitute("${_param.sped}"), Err(VarError::UnknownParam("sped".to_owned())));
        assert_eq!(vars.expand("$PARAM_MODE ${_param.mode} $HOME").as_deref(), Ok("a b a b /home/ada"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn escaped_texts_expand_to_themselves(text in "(?s)[$a-c{}_:\\-\u{e9} ]{0,30}") {
            prop_assert_eq!(expand(&escape(&text)), Ok(text));
        }

        #[test]
        fn no_text_panics(text in "[$a-c{}_:\\-P\u{e9}.]{0,40}") {
            let params = [("a".to_owned(), "1".to_owned())];
            let vars = Vars { env: &env, params: Some(&params) };
            let _ = (vars.expand(&text), vars.substitute(&text));
        }
    }
}
