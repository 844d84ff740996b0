//! What a vector's input holds, and numbers as the vectors spell them.

use quantgate::stats::{Interval, PairTable};
use serde_json::{Map, Value, json};

/// One input, by key.
pub(super) struct Input<'a>(pub(super) &'a Map<String, Value>);

impl Input<'_> {
    pub(super) fn real(&self, key: &str) -> f64 {
        real(&self.0[key])
    }

    pub(super) fn count(&self, key: &str) -> u64 {
        counted(&self.0[key])
    }

    pub(super) fn list(&self, key: &str) -> &[Value] {
        self.0[key].as_array().unwrap_or_else(|| panic!("{key} is a list"))
    }

    pub(super) fn reals(&self, key: &str) -> Vec<f64> {
        self.list(key).iter().map(real).collect()
    }

    pub(super) fn halves(&self, key: &str) -> Vec<Option<f64>> {
        self.list(key).iter().map(|v| (!v.is_null()).then(|| real(v))).collect()
    }

    pub(super) fn counts(&self, key: &str) -> Vec<u64> {
        self.list(key).iter().map(counted).collect()
    }

    pub(super) fn table(&self) -> PairTable {
        PairTable { n11: self.count("n11"), n10: self.count("n10"), n01: self.count("n01"), n00: self.count("n00") }
    }

    pub(super) fn flips(&self) -> PairTable {
        PairTable::of_flips(self.count("n10"), self.count("n01"), self.count("n"))
    }
}

pub(super) fn counted(value: &Value) -> u64 {
    let whole = || value.as_f64().filter(|v| *v >= 0.0 && v.fract() == 0.0).map(|v| v as u64);
    value.as_u64().or_else(whole).unwrap_or_else(|| panic!("{value} is not a count"))
}

/// A number; `null` and "nan" are NaN, "inf" and "-inf" the infinities.
pub(super) fn real(value: &Value) -> f64 {
    match value {
        Value::String(word) => match word.as_str() {
            "inf" => f64::INFINITY,
            "-inf" => f64::NEG_INFINITY,
            _ => f64::NAN,
        },
        other => other.as_f64().unwrap_or(f64::NAN),
    }
}

/// A number as the vectors spell it.
pub(super) fn number(value: f64) -> Value {
    if value.is_infinite() { json!(if value > 0.0 { "inf" } else { "-inf" }) } else { json!(value) }
}

pub(super) fn optional(value: Option<f64>) -> Value {
    value.map_or(Value::Null, number)
}

pub(super) fn pair(value: Option<(f64, f64)>) -> Value {
    value.map_or(Value::Null, |(low, high)| json!([number(low), number(high)]))
}

pub(super) fn interval(of: Interval) -> Value {
    json!({ "estimate": number(of.estimate), "lower": number(of.lower), "upper": number(of.upper) })
}

pub(super) fn limits(of: Interval) -> Value {
    json!({ "lower": of.lower, "upper": of.upper })
}

pub(super) fn some_interval(of: Option<Interval>) -> Value {
    of.map_or_else(|| json!({ "estimate": null, "lower": null, "upper": null }), interval)
}

/// The parts of two objects in one.
pub(super) fn with(mut value: Value, more: &Value) -> Value {
    let target = value.as_object_mut().expect("an object");
    target.extend(more.as_object().expect("an object").clone());
    value
}
