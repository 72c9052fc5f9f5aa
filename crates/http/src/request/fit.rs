//! The walk of a body along its shape: tolerated forms are normalised, and all errors are reported at once.
//!
//! Existing clients send every field of their forms, untouched ones as `""` or `null`: both mean absent. Unknown
//! fields are dropped. A number may come as a numeric string.

use std::borrow::Cow;

use kernel::rejection::FieldError;
use serde_json::{Map, Number, Value};

use super::shape::{Members, Shape, ShapeKind, TextFormat};

impl Shape {
    /// The body as deserialization expects it, or every error of every field.
    pub fn fit(&self, body: Value) -> Result<Value, Vec<FieldError>> {
        let mut walk = Walk::default();
        let fitted = walk.fit(self, body);
        if walk.errors.is_empty() { Ok(fitted) } else { Err(walk.errors) }
    }
}

/// Errors reported for one body, at most.
const MAX_ERRORS: usize = 100;

#[derive(Default)]
struct Walk {
    path: Vec<String>,
    errors: Vec<FieldError>,
}

impl Walk {
    fn fit(&mut self, shape: &Shape, value: Value) -> Value {
        match (&shape.kind, value) {
            (ShapeKind::Object(members), Value::Object(map)) => Value::Object(self.object(members, map)),
            (ShapeKind::List { items, fewest, most }, Value::Array(list)) => self.list(items, *fewest, *most, list),
            (ShapeKind::Text { shortest, longest, format }, Value::String(text)) => {
                self.text(*shortest, *longest, *format, &text);
                Value::String(text)
            }
            (ShapeKind::Integer { least, greatest }, value) => self.integer(*least, *greatest, value),
            (ShapeKind::Number { least, greatest }, value) => self.number(*least, *greatest, value),
            (ShapeKind::Boolean, Value::Bool(flag)) => Value::Bool(flag),
            (ShapeKind::Boolean, Value::String(text)) if text == "true" || text == "false" => Value::Bool(text == "true"),
            (ShapeKind::Literals(literals), value) => self.literal(literals, value),
            (ShapeKind::Either(shapes), value) => self.either(shapes, value),
            (ShapeKind::Any, value) => {
                self.no_nul(&value);
                value
            }
            (kind, value) => {
                self.error("type", format!("must be {}", wanted(kind)));
                value
            }
        }
    }

    fn object(&mut self, members: &Members, mut map: Map<String, Value>) -> Map<String, Value> {
        let mut fitted = Map::with_capacity(members.declared.len());
        for member in &members.declared {
            match map.remove(&member.name).filter(|value| !is_absent(value)) {
                Some(value) => {
                    let value = self.within(member.name.clone(), |walk| walk.fit(&member.shape, value));
                    fitted.insert(member.name.clone(), value);
                }
                None if member.required => self.within(member.name.clone(), |walk| walk.error("missing", "is required".into())),
                None => {}
            }
        }
        if let Some(rest) = &members.rest {
            for (name, value) in std::mem::take(&mut map) {
                let value = self.within(name.clone(), |walk| walk.fit(rest, value));
                fitted.insert(name, value);
            }
        }
        if let Some(either) = &members.either
            && let Value::Object(further) = self.fit(either, Value::Object(map))
        {
            fitted.extend(further);
        }
        fitted
    }

    fn list(&mut self, items: &Shape, fewest: usize, most: usize, list: Vec<Value>) -> Value {
        if list.len() < fewest || list.len() > most {
            self.error("length", length_sentence("entries", fewest, most));
            return Value::Array(list);
        }
        let fitted = list.into_iter().enumerate();
        Value::Array(fitted.map(|(index, value)| self.within(index.to_string(), |walk| walk.fit(items, value))).collect())
    }

    fn text(&mut self, shortest: usize, longest: usize, format: TextFormat, text: &str) {
        // The length in bytes bounds the number of characters, so that most texts need no counting.
        if text.len() > longest || text.len() < shortest.saturating_mul(4) {
            let length = text.chars().count();
            if length > longest || length < shortest {
                self.error("length", length_sentence("characters", shortest, longest));
            }
        }
        self.no_nul_in(text);
        let parses = match format {
            TextFormat::Free => true,
            TextFormat::Instant => text.parse::<jiff::Timestamp>().is_ok(),
            TextFormat::Date => text.parse::<jiff::civil::Date>().is_ok(),
        };
        if !parses {
            let form = if format == TextFormat::Date { "a date, e.g. 2024-09-23" } else { "an instant in RFC 3339" };
            self.error("format", format!("must be {form}"));
        }
    }

    fn integer(&mut self, least: i128, greatest: i128, value: Value) -> Value {
        let whole = match &value {
            Value::Number(number) => number.as_i128().or_else(|| whole(number.as_f64()?)),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        let Some(whole) = whole else {
            self.error("type", "must be a whole number".into());
            return value;
        };
        if whole < least || whole > greatest {
            self.error("range", format!("must lie between {least} and {greatest}"));
        }
        Number::from_i128(whole).map_or(value, Value::Number)
    }

    fn number(&mut self, least: f64, greatest: f64, value: Value) -> Value {
        let (number, parsed) = match &value {
            Value::Number(number) => (number.as_f64(), false),
            Value::String(text) => (text.trim().parse().ok().filter(|number: &f64| number.is_finite()), true),
            _ => (None, false),
        };
        let Some(number) = number else {
            self.error("type", "must be a number".into());
            return value;
        };
        if number < least || number > greatest {
            self.error("range", format!("must lie between {least} and {greatest}"));
        }
        if parsed { Number::from_f64(number).map_or(value, Value::Number) } else { value }
    }

    fn literal(&mut self, literals: &[Value], value: Value) -> Value {
        if literals.contains(&value) {
            return value;
        }
        // `"1"` for a literal 1, as for all numbers.
        let numeric = value.as_str().and_then(|text| text.trim().parse::<i64>().ok()).map(Value::from);
        if let Some(numeric) = numeric.filter(|numeric| literals.contains(numeric)) {
            return numeric;
        }
        let names = literals.iter().map(|literal| literal.as_str().map_or_else(|| literal.to_string(), str::to_owned));
        self.error("enum", format!("must be one of {}", names.collect::<Vec<_>>().join(", ")));
        value
    }

    /// The first shape that fits; where none does, the errors of the one with the fewest.
    fn either(&mut self, shapes: &[Shape], value: Value) -> Value {
        let mut nearest: Option<Vec<FieldError>> = None;
        for shape in shapes {
            let mut walk = Self { path: self.path.clone(), errors: Vec::new() };
            let fitted = walk.fit(shape, value.clone());
            if walk.errors.is_empty() {
                return fitted;
            }
            if nearest.as_ref().is_none_or(|errors| walk.errors.len() < errors.len()) {
                nearest = Some(walk.errors);
            }
        }
        self.errors.extend(nearest.unwrap_or_default());
        value
    }

    /// PostgreSQL cannot store U+0000, so it is rejected for every store.
    fn no_nul(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.no_nul_in(text),
            Value::Array(list) => list.iter().for_each(|value| self.no_nul(value)),
            Value::Object(map) => map.iter().for_each(|(name, value)| {
                self.no_nul_in(name);
                self.no_nul(value);
            }),
            _ => {}
        }
    }

    fn no_nul_in(&mut self, text: &str) {
        if text.contains('\0') {
            self.error("character", "must not contain the character U+0000".into());
        }
    }

    fn within<T>(&mut self, name: String, walk: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(name);
        let result = walk(self);
        self.path.pop();
        result
    }

    fn error(&mut self, code: &'static str, detail: String) {
        if self.errors.len() < MAX_ERRORS {
            let field = if self.path.is_empty() { "body".to_owned() } else { self.path.join(".") };
            self.errors.push(FieldError { field, code: Cow::Borrowed(code), detail });
        }
    }
}

fn is_absent(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(str::is_empty)
}

/// JSON Schema takes `2001.0` for the integer 2001; beyond 2^53 a float no longer identifies an integer.
#[allow(clippy::cast_possible_truncation)] // bounded just before
fn whole(number: f64) -> Option<i128> {
    (number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0).then_some(number as i128)
}

fn length_sentence(of: &str, shortest: usize, longest: usize) -> String {
    match (shortest, longest) {
        (0, longest) => format!("must have at most {longest} {of}"),
        (shortest, usize::MAX) => format!("must have at least {shortest} {of}"),
        (shortest, longest) => format!("must have {shortest} to {longest} {of}"),
    }
}

fn wanted(kind: &ShapeKind) -> &'static str {
    match kind {
        ShapeKind::Object(_) => "an object",
        ShapeKind::List { .. } => "a list",
        ShapeKind::Text { .. } => "text",
        ShapeKind::Boolean => "true or false",
        ShapeKind::Integer { .. } | ShapeKind::Number { .. } => "a number",
        ShapeKind::Any | ShapeKind::Literals(_) | ShapeKind::Either(_) => "another value",
    }
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde_json::json;

    use super::*;

    #[derive(JsonSchema)]
    #[serde(rename_all = "camelCase")]
    #[allow(dead_code)] // only its schema is of interest
    struct Form {
        name: String,
        #[schemars(length(max = 5))]
        nick: Option<String>,
        age: Option<u8>,
        size: Option<Size>,
        #[serde(default)]
        lines: Vec<Line>,
        price: Option<f64>,
        agreed: Option<bool>,
        since: Option<jiff::Timestamp>,
    }

    #[derive(JsonSchema)]
    #[serde(rename_all = "lowercase")]
    #[allow(dead_code)] // only its schema is of interest
    enum Size {
        /// Few.
        Small,
        /// Many.
        Large,
    }

    #[derive(JsonSchema)]
    #[allow(dead_code)] // only its schema is of interest
    struct Line {
        label: String,
    }

    #[derive(JsonSchema)]
    #[serde(tag = "kind", rename_all = "lowercase")]
    #[allow(dead_code)] // only its schema is of interest
    enum Tagged {
        Call { number: u32 },
        Text { text: String },
    }

    fn fit(body: Value) -> Result<Value, Vec<(String, String)>> {
        let shape = Shape::from_schema(&kernel::schema::inline::<Form>().to_value());
        shape.fit(body).map_err(|errors| errors.into_iter().map(|error| (error.field, error.code.into_owned())).collect())
    }

    fn errors(body: Value) -> Vec<(String, String)> {
        fit(body).unwrap_err()
    }

    fn one(field: &str, code: &str) -> Vec<(String, String)> {
        vec![(field.to_owned(), code.to_owned())]
    }

    #[test]
    fn empty_texts_and_nulls_are_absent_and_unknown_fields_are_dropped() {
        let body = json!({"_links": {}, "id": 0, "name": "kim", "nick": "", "age": null, "other": [1]});
        assert_eq!(fit(body).unwrap(), json!({"name": "kim"}));
    }

    #[test]
    fn a_number_may_come_as_a_numeric_string() {
        let body = json!({"name": "kim", "age": "41", "price": "1.5", "agreed": "true"});
        assert_eq!(fit(body).unwrap(), json!({"name": "kim", "age": 41, "price": 1.5, "agreed": true}));
        assert_eq!(fit(json!({"name": "kim", "age": 41.0})).unwrap(), json!({"name": "kim", "age": 41}));
    }

    #[test]
    fn every_error_is_reported_at_once_nested_ones_by_their_path() {
        let body = json!({"nick": "toolong", "age": 300, "size": "medium", "lines": [{"label": "a"}, {"label": 1}], "agreed": 1});
        let errors: Vec<String> = errors(body).into_iter().map(|(field, code)| format!("{field}:{code}")).collect();
        let expected = ["name:missing", "nick:length", "age:range", "size:enum", "lines.1.label:type", "agreed:type"];
        assert_eq!(errors, expected);
    }

    #[test]
    fn a_required_field_may_not_be_empty() {
        assert_eq!(errors(json!({"name": ""})), one("name", "missing"));
    }

    #[test]
    fn a_number_is_not_accepted_as_text() {
        assert_eq!(errors(json!({"name": 5})), one("name", "type"));
    }

    #[test]
    fn lengths_count_characters_and_not_bytes() {
        assert!(fit(json!({"name": "kim", "nick": "다섯글자임"})).is_ok());
        assert_eq!(errors(json!({"name": "kim", "nick": "여섯글자입니"})), one("nick", "length"));
    }

    #[test]
    fn instants_must_be_in_rfc_3339() {
        assert!(fit(json!({"name": "kim", "since": "2024-09-23T10:00:00+09:00"})).is_ok());
        assert_eq!(errors(json!({"name": "kim", "since": "yesterday"})), one("since", "format"));
    }

    #[test]
    fn the_nul_character_is_rejected() {
        assert_eq!(errors(json!({"name": "a\u{0}b"})), one("name", "character"));
    }

    #[test]
    fn a_body_that_is_no_object_is_rejected_as_a_whole() {
        assert_eq!(errors(json!([1])), one("body", "type"));
    }

    #[test]
    fn the_first_of_several_shapes_that_fits_is_used() {
        let shape = Shape::from_schema(&kernel::schema::inline::<Tagged>().to_value());
        assert_eq!(shape.fit(json!({"kind": "text", "text": "a", "x": 1})).unwrap(), json!({"kind": "text", "text": "a"}));
        let errors = shape.fit(json!({"kind": "call", "number": "abc"})).unwrap_err();
        assert_eq!((errors[0].field.as_str(), errors[0].code.as_ref()), ("number", "type"));
    }
}
