//! A decoder of another make: every part that a family may have, in f64, one number at a time, straight from the formulas.

use std::collections::HashMap;

use crate::weights::{Activation, Checkpoint, RopeOrder};

/// Logits of every position of one sequence.
pub(super) struct Slow<'a> {
    checkpoint: &'a Checkpoint,
    tensors: HashMap<String, Vec<f64>>,
    /// What happens to each remembered head.
    rounding: fn(&mut [f64]),
}

impl<'a> Slow<'a> {
    pub(super) fn new(checkpoint: &'a Checkpoint, names: impl Iterator<Item = String>, rounding: fn(&mut [f64])) -> Self {
        let read = |name: String| {
            let tensor = checkpoint.tensor(&name).expect("the tensor is there");
            let numbers: Vec<f32> = tensor.flatten_all().and_then(|flat| flat.to_vec1()).expect("f32");
            (name, numbers.into_iter().map(f64::from).collect())
        };
        Self { checkpoint, tensors: names.map(read).collect(), rounding }
    }

    fn tensor(&self, name: &str) -> &[f64] {
        &self.tensors[name]
    }

    /// `weights · x` for every row of weights.
    fn times(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let rows = self.tensor(&format!("{name}.weight")).chunks(x.len());
        let mut out: Vec<f64> = rows.map(|row| row.iter().zip(x).map(|(w, x)| w * x).sum()).collect();
        if let Some(bias) = self.tensors.get(&format!("{name}.bias")) {
            out.iter_mut().zip(bias).for_each(|(out, bias)| *out += bias);
        }
        out
    }

    fn norm(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let mean = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
        let scale = (mean + f64::from(self.checkpoint.config().norm_epsilon)).sqrt();
        self.tensor(&format!("{name}.weight")).iter().zip(x).map(|(w, x)| w * x / scale).collect()
    }

    /// Norms every head where the family does, and turns it to a position.
    fn heads(&self, norm: &str, x: &mut [f64], position: usize) {
        let config = self.checkpoint.config();
        let half = config.rope.size / 2;
        for head in x.chunks_mut(config.head_size) {
            if config.head_norms {
                head.copy_from_slice(&self.norm(norm, head));
            }
            for i in 0..half {
                let angle = position as f64 * f64::from(config.rope.frequencies[i]);
                let (sin, cos) = (angle.sin() * f64::from(config.rope.magnitude), angle.cos() * f64::from(config.rope.magnitude));
                let (a, b) = if config.rope.order == RopeOrder::Half { (i, i + half) } else { (2 * i, 2 * i + 1) };
                (head[a], head[b]) = (head[a] * cos - head[b] * sin, head[b] * cos + head[a] * sin);
            }
        }
    }

    /// Attention of one row over the keys and values so far.
    fn attend(&self, window: Option<usize>, q: &[f64], keys: &[Vec<f64>], values: &[Vec<f64>]) -> Vec<f64> {
        let config = self.checkpoint.config();
        let (size, share) = (config.head_size, config.heads / config.kv_heads);
        let seen = keys.len().saturating_sub(window.unwrap_or(usize::MAX))..keys.len();
        let mut mixed = vec![0.0; q.len()];
        for (head, out) in mixed.chunks_mut(size).enumerate() {
            let of = |rows: &[f64]| rows[head / share * size..][..size].to_vec();
            let weight = |key: &Vec<f64>| {
                let product: f64 = of(key).iter().zip(&q[head * size..]).map(|(k, q)| k * q).sum();
                let score = product * f64::from(config.attention_scale);
                config.attention_cap.map_or(score, |cap| f64::from(cap) * (score / f64::from(cap)).tanh()).exp()
            };
            let weights: Vec<f64> = keys[seen.clone()].iter().map(weight).collect();
            let total: f64 = weights.iter().sum();
            for (weight, v) in weights.iter().zip(&values[seen.clone()]) {
                out.iter_mut().zip(of(v)).for_each(|(out, v)| *out += weight / total * v);
            }
        }
        mixed
    }

    /// One gated part; `suffix` names the expert.
    fn gated(&self, layer: usize, suffix: &str, x: &[f64]) -> Vec<f64> {
        let name = |part: &str| format!("blk.{layer}.{part}{suffix}");
        let activate = |x: f64| match self.checkpoint.config().activation {
            Activation::Silu => x / (1.0 + (-x).exp()),
            Activation::GeluTanh => x / 2.0 * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x)).tanh()),
        };
        let (gate, up) = (self.times(&name("ffn_gate"), x), self.times(&name("ffn_up"), x));
        let inner: Vec<f64> = gate.iter().zip(&up).map(|(&gate, up)| activate(gate) * up).collect();
        self.times(&name("ffn_down"), &inner)
    }

    /// The feed-forward part: a softmax over all experts, cut to the likeliest and made to sum to one.
    fn feed_forward(&self, layer: usize, x: &[f64]) -> Vec<f64> {
        let Some(experts) = self.checkpoint.config().experts else { return self.gated(layer, "", x) };
        let logits = self.times(&format!("blk.{layer}.ffn_gate_inp"), x);
        let total: f64 = logits.iter().map(|logit| logit.exp()).sum();
        let mut likely: Vec<(f64, usize)> = logits.iter().enumerate().map(|(i, logit)| (logit.exp() / total, i)).collect();
        likely.sort_by(|a, b| b.0.total_cmp(&a.0));
        likely.truncate(experts.used);
        let kept: f64 = likely.iter().map(|(share, _)| share).sum();
        let mut out = vec![0.0; x.len()];
        for (share, expert) in likely {
            let found = self.gated(layer, &format!(".{expert}"), x);
            out.iter_mut().zip(found).for_each(|(out, found)| *out += share / kept * found);
        }
        out
    }

    /// Adds a part's output, through its norm where the family has one.
    fn add(&self, x: &mut [f64], y: Vec<f64>, norm: &str) {
        let y = if self.checkpoint.config().post_norms { self.norm(norm, &y) } else { y };
        x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
    }

    /// `[position][vocabulary]`.
    pub(super) fn logits(&self, ids: &[u32]) -> Vec<Vec<f64>> {
        let config = self.checkpoint.config();
        let embedding = self.tensor("token_embd.weight");
        let row = |&id: &u32| {
            let row = &embedding[id as usize * config.width..][..config.width];
            row.iter().map(|x| x * f64::from(config.embedding_scale)).collect()
        };
        let mut xs: Vec<Vec<f64>> = ids.iter().map(row).collect();
        for layer in 0..config.layers {
            let name = |part: &str| format!("blk.{layer}.{part}");
            let (mut keys, mut values) = (Vec::new(), Vec::new());
            for (position, x) in xs.iter_mut().enumerate() {
                let h = self.norm(&name("attn_norm"), x);
                let [mut q, mut k, mut v] = ["attn_q", "attn_k", "attn_v"].map(|part| self.times(&name(part), &h));
                self.heads(&name("attn_q_norm"), &mut q, position);
                self.heads(&name("attn_k_norm"), &mut k, position);
                k.chunks_mut(config.head_size).chain(v.chunks_mut(config.head_size)).for_each(self.rounding);
                keys.push(k);
                values.push(v);
                let window = config.windows.get(layer).copied().flatten();
                let mixed = self.attend(window, &q, &keys, &values);
                self.add(x, self.times(&name("attn_output"), &mixed), &name("post_attention_norm"));
                let h = self.norm(&name("ffn_norm"), x);
                self.add(x, self.feed_forward(layer, &h), &name("post_ffw_norm"));
            }
        }
        let head = if config.tied { "token_embd" } else { "output" };
        let capped = |logit: f64| config.logit_cap.map_or(logit, |cap| f64::from(cap) * (logit / f64::from(cap)).tanh());
        let logits = |x: &Vec<f64>| self.times(head, &self.norm("output_norm", x)).into_iter().map(capped).collect();
        xs.iter().map(logits).collect()
    }
}
