//! Where the variance of differences comes from: from items, which only more items overcome, or from asking again.

/// Where the variance of an item's difference comes from, as a history with repeats shows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Variance between items, which only more items overcome.
    pub between: f64,
    /// Variance of one answer of the canary about its item's mean, averaged over items.
    pub canary: f64,
    /// The same of the variant.
    pub variant: f64,
}

impl Spread {
    /// From the scores of each item's answers, of the canary and of the variant: the same items in the same order, each with
    /// at least one answer of both. None for fewer than two items.
    #[must_use]
    pub fn of(canary: &[Vec<f64>], variant: &[Vec<f64>]) -> Option<Self> {
        let differences: Vec<f64> = canary.iter().zip(variant).map(|(a, b)| mean(b) - mean(a)).collect();
        let ((canary, of_canary), (variant, of_variant)) = (sampling(canary), sampling(variant));
        let between = (variance(&differences)? - of_canary - of_variant).max(0.0);
        Some(Self { between, canary, variant })
    }
}

/// The variance of one answer about its item's mean, and that of the mean of all of an item's answers, averaged over items.
fn sampling(items: &[Vec<f64>]) -> (f64, f64) {
    let one = |answers: &Vec<f64>| variance(answers).unwrap_or(0.0);
    let of_mean = |answers: &Vec<f64>| one(answers) / answers.len() as f64;
    (mean(&items.iter().map(one).collect::<Vec<_>>()), mean(&items.iter().map(of_mean).collect::<Vec<_>>()))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The variance of values about their mean. None for fewer than two.
fn variance(values: &[f64]) -> Option<f64> {
    let (n, mean) = (values.len() as f64, mean(values));
    (values.len() > 1).then(|| values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variance_between_items_is_what_sampling_does_not_explain() {
        // Each side answers one item both ways: a variance of ½ about each mean, of ¼ for the mean of two.
        let canary = [[1.0, 0.0], [1.0, 1.0], [1.0, 1.0], [0.0, 0.0]].map(Vec::from);
        let variant = [[0.0, 0.0], [1.0, 0.0], [0.0, 0.0], [0.0, 0.0]].map(Vec::from);
        let spread = Spread::of(&canary, &variant).expect("there are items");
        assert!((spread.canary - 0.125).abs() < 1e-12 && (spread.variant - 0.125).abs() < 1e-12, "{spread:?}");
        // Differences −½, −½, −1, 0 have the variance 1/6, of which sampling explains 2 · 1/16.
        assert!((spread.between - (1.0 / 6.0 - 0.125)).abs() < 1e-12, "{spread:?}");
        assert_eq!(Spread::of(&canary[..1], &variant[..1]), None);
    }
}
