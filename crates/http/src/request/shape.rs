//! An input's JSON Schema, compiled once at start, so that a request only walks plain data; the walk is in [`super::fit`].
//!
//! It covers what the declarations' types derive, not all of JSON Schema: anything else passes here, and deserialization
//! rejects it.

use serde_json::{Map, Value};

/// What one value must look like.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    pub(crate) kind: ShapeKind,
}

/// The kinds of value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ShapeKind {
    /// Anything.
    Any,
    /// An object.
    Object(Members),
    /// A list.
    List { items: Box<Shape>, fewest: usize, most: usize },
    /// Text, lengths in characters.
    Text { shortest: usize, longest: usize, format: TextFormat },
    /// A whole number.
    Integer { least: i128, greatest: i128 },
    /// Any number.
    Number { least: f64, greatest: f64 },
    /// `true` or `false`.
    Boolean,
    /// One of these values.
    Literals(Vec<Value>),
    /// One of these shapes.
    Either(Vec<Shape>),
}

/// The members of an object.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Members {
    pub(crate) declared: Vec<Member>,
    /// What members beyond the declared ones must look like; without it they are dropped.
    pub(crate) rest: Option<Box<Shape>>,
    /// Further members, one of several sets.
    pub(crate) either: Option<Box<Shape>>,
}

/// One declared member.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) required: bool,
    pub(crate) shape: Shape,
}

/// The format of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextFormat {
    Free,
    Instant,
    Date,
}

impl Shape {
    /// Compiles a schema.
    pub fn from_schema(schema: &Value) -> Self {
        compile(schema, schema, 0)
    }

    /// The same shape without the members of these names.
    pub fn without(mut self, names: &[&str]) -> Self {
        if let ShapeKind::Object(members) = &mut self.kind {
            members.declared.retain(|member| !names.contains(&member.name.as_str()));
        }
        self
    }
}

/// Schemas may refer to themselves: compiled to this depth, below which anything passes.
const MAX_DEPTH: usize = 16;

fn compile(schema: &Value, root: &Value, depth: usize) -> Shape {
    let shape = |kind| Shape { kind };
    let Some(map) = schema.as_object().filter(|_| depth < MAX_DEPTH) else {
        return shape(ShapeKind::Any);
    };
    if let Some(target) = map.get("$ref").and_then(Value::as_str).and_then(|path| root.pointer(path.trim_start_matches('#'))) {
        return compile(target, root, depth + 1);
    }
    if let Some(literal) = map.get("const") {
        return shape(ShapeKind::Literals(vec![literal.clone()]));
    }
    if let Some(literals) = map.get("enum").and_then(Value::as_array) {
        return shape(ShapeKind::Literals(literals.iter().filter(|literal| !literal.is_null()).cloned().collect()));
    }
    let either = ["oneOf", "anyOf"].iter().find_map(|word| map.get(*word)).and_then(Value::as_array);
    let either = either.map(|cases| compile_cases(cases, root, depth));
    if map.contains_key("properties") {
        return shape(ShapeKind::Object(members(map, either, root, depth)));
    }
    if let Some(either) = either {
        return either;
    }
    if let Some(only) = map.get("allOf").and_then(Value::as_array).and_then(|all| all.first()) {
        return compile(only, root, depth + 1);
    }
    shape(typed(map, root, depth))
}

/// Cases without `null`; if all are literals, one list of literals.
fn compile_cases(cases: &[Value], root: &Value, depth: usize) -> Shape {
    let is_null = |case: &&Value| case.get("type").and_then(Value::as_str) == Some("null");
    let mut shapes: Vec<Shape> = cases.iter().filter(|case| !is_null(case)).map(|case| compile(case, root, depth + 1)).collect();
    if shapes.len() == 1 {
        return shapes.remove(0);
    }
    let literals = shapes.iter().map(|shape| match &shape.kind {
        ShapeKind::Literals(literals) => Some(literals.clone()),
        _ => None,
    });
    let kind = match literals.collect::<Option<Vec<_>>>() {
        Some(literals) => ShapeKind::Literals(literals.concat()),
        None => ShapeKind::Either(shapes),
    };
    Shape { kind }
}

fn members(map: &Map<String, Value>, either: Option<Shape>, root: &Value, depth: usize) -> Members {
    let required: Vec<&str> = array(map, "required").iter().filter_map(Value::as_str).collect();
    let properties = map.get("properties").and_then(Value::as_object);
    let declared = properties.into_iter().flatten().map(|(name, schema)| Member {
        name: name.clone(),
        required: required.contains(&name.as_str()),
        shape: compile(schema, root, depth + 1),
    });
    let rest =
        map.get("additionalProperties").filter(|rest| rest.is_object()).map(|rest| Box::new(compile(rest, root, depth + 1)));
    Members { declared: declared.collect(), rest, either: either.map(Box::new) }
}

fn typed(map: &Map<String, Value>, root: &Value, depth: usize) -> ShapeKind {
    let types = match map.get("type") {
        Some(Value::Array(types)) => types.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(one)) => vec![one.as_str()],
        _ => Vec::new(),
    };
    let types: Vec<&str> = types.into_iter().filter(|name| *name != "null").collect();
    let size = |name: &str, otherwise: usize| {
        map.get(name).and_then(Value::as_u64).and_then(|size| usize::try_from(size).ok()).unwrap_or(otherwise)
    };
    let format = map.get("format").and_then(Value::as_str).unwrap_or_default();
    match types.as_slice() {
        ["string"] => ShapeKind::Text {
            shortest: size("minLength", 0),
            longest: size("maxLength", usize::MAX),
            format: text_format(format),
        },
        ["integer"] => {
            let (least, greatest) = integer_bounds(format);
            let bound = |name: &str| map.get(name).and_then(Value::as_number).and_then(serde_json::Number::as_i128);
            let least = bound("minimum").or_else(|| Some(bound("exclusiveMinimum")? + 1)).unwrap_or(least).max(least);
            let greatest = bound("maximum").or_else(|| Some(bound("exclusiveMaximum")? - 1)).unwrap_or(greatest).min(greatest);
            ShapeKind::Integer { least, greatest }
        }
        ["number"] => {
            let bound = |name: &str, otherwise: f64| map.get(name).and_then(Value::as_f64).unwrap_or(otherwise);
            ShapeKind::Number { least: bound("minimum", f64::MIN), greatest: bound("maximum", f64::MAX) }
        }
        ["boolean"] => ShapeKind::Boolean,
        ["array"] => ShapeKind::List {
            items: Box::new(map.get("items").map_or(Shape { kind: ShapeKind::Any }, |items| compile(items, root, depth + 1))),
            fewest: size("minItems", 0),
            most: size("maxItems", usize::MAX),
        },
        ["object"] => ShapeKind::Object(members(map, None, root, depth)),
        _ => ShapeKind::Any,
    }
}

fn text_format(format: &str) -> TextFormat {
    match format {
        "date-time" => TextFormat::Instant,
        "date" => TextFormat::Date,
        _ => TextFormat::Free,
    }
}

/// The range of the number's Rust type.
fn integer_bounds(format: &str) -> (i128, i128) {
    match format {
        "int8" => (i8::MIN.into(), i8::MAX.into()),
        "int16" => (i16::MIN.into(), i16::MAX.into()),
        "int32" => (i32::MIN.into(), i32::MAX.into()),
        "uint8" => (0, u8::MAX.into()),
        "uint16" => (0, u16::MAX.into()),
        "uint32" => (0, u32::MAX.into()),
        // Stores and clients keep ids and amounts in signed 64 bits.
        "uint64" | "uint" => (0, i64::MAX.into()),
        _ => (i64::MIN.into(), i64::MAX.into()),
    }
}

fn array<'a>(map: &'a Map<String, Value>, name: &str) -> &'a [Value] {
    map.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_optional_enum_with_sentences_is_a_list_of_literals() {
        let schema = json!({"anyOf": [{"oneOf": [{"const": "small"}, {"const": "large"}]}, {"type": "null"}]});
        assert_eq!(Shape::from_schema(&schema).kind, ShapeKind::Literals(vec![json!("small"), json!("large")]));
    }

    #[test]
    fn an_integer_is_bounded_by_its_type_and_its_schema() {
        let shape = Shape::from_schema(&json!({"type": ["integer", "null"], "format": "uint32", "minimum": 5}));
        assert_eq!(shape.kind, ShapeKind::Integer { least: 5, greatest: u32::MAX.into() });
    }

    #[test]
    fn compiling_a_recursive_schema_terminates() {
        let schema = json!({"$defs": {"T": {"properties": {"t": {"$ref": "#/$defs/T"}}}}, "$ref": "#/$defs/T"});
        assert!(matches!(Shape::from_schema(&schema).kind, ShapeKind::Object(_)));
    }
}
