//! The few conditions, written in Python, that sample logs put on their lines.

use serde_json::{Map, Value};

/// Is `name == 'sshd'` or `opts.get('mode') != 'aggressive'` true?
pub(crate) fn holds(condition: &str, name: &str, options: &Map<String, Value>) -> bool {
    let (left, right, is_equal) = match condition.split_once("!=") {
        Some((left, right)) => (left, right, false),
        None => {
            let (left, right) = condition.split_once("==").expect(condition);
            (left, right, true)
        }
    };
    let left = left.trim();
    let value = match left.strip_prefix("opts.get('") {
        Some(option) => {
            let option = option.strip_suffix("')").expect(condition);
            options.get(option).and_then(Value::as_str)
        }
        None => {
            assert_eq!(left, "name", "{condition}");
            Some(name)
        }
    };
    let right = right.trim().trim_matches('\'');
    (value == Some(right)) == is_equal
}
