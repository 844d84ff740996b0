//! Rotary embedding as config.json and GGUF metadata describe it.

#![expect(clippy::float_cmp, reason = "files say exactly that nothing is stretched or scaled")]

use serde_json::Value as Json;

use super::super::WeightsError;
use super::super::gguf::TensorType;
use super::super::shape::{Architecture, Rope, RopeOrder, RopeScaling};
use super::json::Kind;
use super::keys::{HeaderKeys, JsonKeys};

/// The rotary embedding of a config.json, and the context that can be used with it.
pub(super) fn from_json(keys: &JsonKeys<'_>, kind: Kind, head_size: usize) -> Result<(Rope, usize), WeightsError> {
    let context = keys.count("max_position_embeddings")?;
    let (name, own) = parameters(keys)?;
    let own = own.unwrap_or(JsonKeys { path: keys.path, json: &Json::Null });
    let base = own.real("rope_theta")?.or(keys.real("rope_theta")?).unwrap_or(kind.base()) as f32;
    let size = rotated(keys, &own, (kind, head_size))?;
    let refused = || Err(keys.refuse(format!("rotary scaling (`{name}` = {})", own.json)));
    let scaling = match own.find("rope_type").or_else(|| own.find("type")).map(|kind| kind.as_str()) {
        None if own.find("factor").is_some() => return refused(),
        None | Some(Some("default")) => RopeScaling::None,
        Some(Some("linear")) => RopeScaling::Linear { factor: factor(&own)? },
        Some(Some("llama3")) => RopeScaling::Llama3 {
            factor: factor(&own)?,
            low: required(&own, "low_freq_factor")?,
            high: required(&own, "high_freq_factor")?,
            original: original(keys, &own, context)?,
        },
        Some(Some("yarn")) if kind != Kind::Phi3 && own.find("truncate").is_none_or(|truncate| *truncate == true) => {
            RopeScaling::Yarn {
                factor: factor(&own)?,
                original: original(keys, &own, context)?,
                beta_fast: own.real("beta_fast")?.filter(|beta| *beta != 0.0).unwrap_or(32.0) as f32,
                beta_slow: own.real("beta_slow")?.filter(|beta| *beta != 0.0).unwrap_or(1.0) as f32,
            }
        }
        Some(Some("longrope" | "su")) if kind == Kind::Phi3 => RopeScaling::Long {
            short: own.reals("short_factor", size / 2)?,
            long: own.reals("long_factor", size / 2)?,
            original: keys.count_or("original_max_position_embeddings", 4096)?,
            context,
        },
        _ => return refused(),
    };
    let magnitude = magnitude(&own, &scaling)?;
    let usable = usable(&scaling, context);
    Ok((Rope::scaled((RopeOrder::Half, base, size), scaling, magnitude), usable))
}

/// The object with rotary parameters, by its older or its newer name; none where there is neither.
fn parameters<'a>(keys: &JsonKeys<'a>) -> Result<(&'static str, Option<JsonKeys<'a>>), WeightsError> {
    let filled = |name: &&str| keys.within(name).is_some_and(|own| own.json.as_object().is_none_or(|own| !own.is_empty()));
    let Some(name) = ["rope_scaling", "rope_parameters"].into_iter().find(filled) else { return Ok(("rope_parameters", None)) };
    let own = keys.within(name).filter(|own| own.json.is_object());
    let own = own.ok_or_else(|| WeightsError::key(keys.path, name, "must be an object"))?;
    // Newer files may give each type of layer its own.
    let mut each = ["full_attention", "sliding_attention"].into_iter().filter_map(|layers| own.within(layers));
    match (each.next(), each.next()) {
        (None, _) => Ok((name, Some(own))),
        (Some(first), other) if other.is_none_or(|other| other.json == first.json) => Ok((name, Some(first))),
        _ => Err(keys.refuse(format!("`{name}` that differs between layers"))),
    }
}

/// How many of a head's values turn.
fn rotated(keys: &JsonKeys<'_>, own: &JsonKeys<'_>, (kind, head_size): (Kind, usize)) -> Result<usize, WeightsError> {
    let share = own.real("partial_rotary_factor")?.or(keys.real("partial_rotary_factor")?).unwrap_or(1.0);
    if own.find("mrope_section").is_some() || (share != 1.0 && kind != Kind::Phi3) {
        return Err(keys.refuse(format!("rotary embedding of `partial_rotary_factor` = {share} or by sections")));
    }
    let size = (head_size as f64 * share) as usize;
    if !(0.0..=1.0).contains(&share) || size == 0 || !size.is_multiple_of(2) {
        return Err(WeightsError::malformed(
            keys.path,
            format!("{size} of a head's {head_size} values cannot be turned in pairs"),
        ));
    }
    Ok(size)
}

fn factor(own: &JsonKeys<'_>) -> Result<f32, WeightsError> {
    let factor = required(own, "factor")?;
    if factor >= 1.0 { Ok(factor) } else { Err(WeightsError::key(own.path, "factor", format!("is {factor}, less than 1"))) }
}

fn required(own: &JsonKeys<'_>, key: &str) -> Result<f32, WeightsError> {
    own.real(key)?.map(|real| real as f32).ok_or_else(|| own.missing(key))
}

fn original(keys: &JsonKeys<'_>, own: &JsonKeys<'_>, context: usize) -> Result<usize, WeightsError> {
    let key = "original_max_position_embeddings";
    keys.count_or(key, own.count_or(key, context)?)
}

/// What a file says of cosines and sines, or what transformers infers.
fn magnitude(own: &JsonKeys<'_>, scaling: &RopeScaling) -> Result<f32, WeightsError> {
    let built = matches!(scaling, RopeScaling::Yarn { .. } | RopeScaling::Long { .. });
    if let Some(given) = own.real("attention_factor")?.filter(|_| built) {
        return Ok(given as f32);
    }
    match scaling {
        RopeScaling::Yarn { factor, .. } => {
            let scale = |weight: f64| if *factor > 1.0 { 0.1 * weight * f64::from(*factor).ln() + 1.0 } else { 1.0 };
            let weight = |key| Ok::<_, WeightsError>(own.real(key)?.filter(|weight| *weight != 0.0));
            Ok(match (weight("mscale")?, weight("mscale_all_dim")?) {
                (Some(one), Some(all)) => scale(one) / scale(all),
                _ => scale(1.0),
            } as f32)
        }
        RopeScaling::Long { original, context, .. } => {
            let factor = own.real("factor")?.unwrap_or(*context as f64 / *original as f64);
            Ok(if factor > 1.0 { (1.0 + factor.ln() / (*original as f64).ln()).sqrt() as f32 } else { 1.0 })
        }
        _ => Ok(1.0),
    }
}

/// The context that can be used: of Phi's two sets of factors, those for short texts are run.
fn usable(scaling: &RopeScaling, context: usize) -> usize {
    match scaling {
        RopeScaling::Long { original, .. } => context.min(*original),
        _ => context,
    }
}

/// The rotary embedding of GGUF metadata, and the context that can be used with it.
pub(super) fn from_header(
    keys: &HeaderKeys<'_>,
    (family, file): (Architecture, &[u8]),
    (head_size, context): (usize, usize),
) -> Result<(Rope, usize), WeightsError> {
    known(keys)?;
    let size = keys.count_or("rope.dimension_count", head_size)?;
    if family != Architecture::Phi3 {
        keys.same("rope.dimension_count", head_size)?;
    }
    if size > head_size || !size.is_multiple_of(2) {
        let problem = format!("{size} of a head's {head_size} values cannot be turned in pairs");
        return Err(WeightsError::malformed(keys.path, problem));
    }
    let scaling = scaling(keys, (family, file), (size, context))?;
    let inferred = match &scaling {
        RopeScaling::Yarn { factor, .. } => {
            let inferred = if *factor > 1.0 { 0.1 * factor.ln() + 1.0 } else { 1.0 };
            keys.real("rope.scaling.yarn_attn_factor")?.unwrap_or(inferred)
        }
        _ => 1.0,
    };
    let magnitude = inferred * keys.real("rope.scaling.attn_factor")?.unwrap_or(1.0);
    let order = if family == Architecture::Llama { RopeOrder::Interleaved } else { RopeOrder::Half };
    let base = keys.real("rope.freq_base")?.unwrap_or(10_000.0);
    let usable = usable(&scaling, context);
    Ok((Rope::scaled((order, base, size), scaling, magnitude), usable))
}

fn scaling(
    keys: &HeaderKeys<'_>,
    (family, file): (Architecture, &[u8]),
    (size, context): (usize, usize),
) -> Result<RopeScaling, WeightsError> {
    let factor = keys.real("rope.scaling.factor")?.or(keys.real("rope.scale_linear")?).filter(|factor| *factor != 0.0);
    let factor = factor.unwrap_or(1.0);
    let original = || keys.count_or("rope.scaling.original_context_length", context);
    let kind = keys.text("rope.scaling.type").unwrap_or("linear");
    if factor.is_nan() || factor < 1.0 {
        return Err(WeightsError::key(keys.path, keys.name("rope.scaling.factor"), format!("is {factor}, less than 1")));
    }
    let divisors = |name: &str| divisors(keys, file, (name, size / 2));
    if family == Architecture::Phi3 && matches!(kind, "longrope" | "linear") && factor == 1.0 {
        let (short, long) = (divisors("rope_factors_short.weight")?, divisors("rope_factors_long.weight")?);
        return Ok(match (short, long) {
            (Some(short), Some(long)) => RopeScaling::Long { short, long, original: original()?, context },
            (None, None) => RopeScaling::None,
            _ => return Err(keys.refuse("rotary divisors for short texts or for long ones only".to_owned())),
        });
    }
    let given = if family == Architecture::Llama { divisors("rope_freqs.weight")? } else { None };
    match (kind, given) {
        ("linear" | "none", Some(given)) if factor == 1.0 => Ok(RopeScaling::Factors(given)),
        ("none", None) => Ok(RopeScaling::None),
        ("linear", None) if factor == 1.0 => Ok(RopeScaling::None),
        ("linear", None) => Ok(RopeScaling::Linear { factor }),
        ("yarn", None) => Ok(RopeScaling::Yarn {
            factor,
            original: original()?,
            beta_fast: keys.real("rope.scaling.yarn_beta_fast")?.unwrap_or(32.0),
            beta_slow: keys.real("rope.scaling.yarn_beta_slow")?.unwrap_or(1.0),
        }),
        (other, _) => Err(keys.refuse(format!("rotary scaling (`{}` = {other})", keys.name("rope.scaling.type")))),
    }
}

/// Refuses keys of rotary scaling that nothing here reads.
fn known(keys: &HeaderKeys<'_>) -> Result<(), WeightsError> {
    const READ: [&str; 9] = [
        "type",
        "factor",
        "original_context_length",
        "attn_factor",
        "finetuned",
        "yarn_attn_factor",
        "yarn_beta_fast",
        "yarn_beta_slow",
        "yarn_ext_factor",
    ];
    let prefix = keys.name("rope.scaling.");
    for (key, value) in &keys.header.metadata {
        let Some(rest) = key.strip_prefix(&prefix) else { continue };
        let number = value.real();
        let harmless = match rest {
            // How much of the stretching YaRN does: all or another model.
            "yarn_ext_factor" => number == Some(1.0),
            "yarn_log_multiplier" | "alpha" => number == Some(0.0),
            rest => READ.contains(&rest),
        };
        if !harmless {
            return Err(keys.refuse(format!("`{key}` = {value:?}")));
        }
    }
    Ok(())
}

/// A tensor of rotary divisors; none where the file has no such tensor.
fn divisors(keys: &HeaderKeys<'_>, file: &[u8], (name, length): (&str, usize)) -> Result<Option<Vec<f32>>, WeightsError> {
    let Some(tensor) = keys.header.tensors.iter().find(|tensor| tensor.name == name) else { return Ok(None) };
    if tensor.shape != [length] {
        let (path, tensor_name) = (keys.path.to_owned(), name.to_owned());
        let (found, expected) = (tensor.shape.clone(), vec![length]);
        return Err(WeightsError::Shape { path, tensor: tensor_name, found, expected });
    }
    if tensor.kind != TensorType::F32 {
        return Err(keys.refuse(format!("tensor `{name}` stored as {}", tensor.kind)));
    }
    let (raw, _) = file[tensor.bytes.clone()].as_chunks::<4>();
    Ok(Some(raw.iter().map(|raw| f32::from_le_bytes(*raw)).collect()))
}
