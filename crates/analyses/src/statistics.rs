//! What is said of a sample: quantiles, moments, histogram, rank correlation.

/// The quantile at `share` (0 to 1) of an ascending sample, with linear interpolation (type 7 of Hyndman and Fan). 0 of nothing.
pub fn quantile(ascending: &[f64], share: f64) -> f64 {
    let Some(last) = ascending.len().checked_sub(1) else {
        return 0.0;
    };
    let place = share.clamp(0.0, 1.0) * last as f64;
    let below = libm::floor(place) as usize;
    let above = (below + 1).min(last);
    ascending[below] + (ascending[above] - ascending[below]) * (place - below as f64)
}

/// The mean; 0 of nothing.
pub fn mean(sample: &[f64]) -> f64 {
    if sample.is_empty() {
        0.0
    } else {
        sample.iter().sum::<f64>() / sample.len() as f64
    }
}

/// The standard deviation of the sample (over n - 1); 0 of fewer than two.
pub fn sd(sample: &[f64]) -> f64 {
    if sample.len() < 2 {
        return 0.0;
    }
    let centre = mean(sample);
    let squares: f64 = sample.iter().map(|x| (x - centre) * (x - centre)).sum();
    libm::sqrt(squares / (sample.len() - 1) as f64)
}

/// The share of an ascending sample that is at most `limit`.
pub fn share_within(ascending: &[f64], limit: f64) -> f64 {
    if ascending.is_empty() {
        0.0
    } else {
        ascending.partition_point(|&x| x <= limit) as f64 / ascending.len() as f64
    }
}

/// Counts in bins of one width.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Where the first bin begins.
    pub from: f64,
    /// The width of each bin; 0 when the whole sample is one number.
    pub width: f64,
    /// How many of the sample each bin holds.
    pub counts: Vec<u64>,
}

/// A histogram of an ascending sample with at most `bins` bins, their width 1, 2 or 5 times a power of ten.
pub fn histogram(ascending: &[f64], bins: usize) -> Histogram {
    let (Some(&low), Some(&high)) = (ascending.first(), ascending.last()) else {
        return Histogram {
            from: 0.0,
            width: 0.0,
            counts: vec![],
        };
    };
    if high <= low || bins == 0 {
        return Histogram {
            from: low,
            width: 0.0,
            counts: vec![ascending.len() as u64],
        };
    }
    let spread = |width: f64| libm::floor(high / width) - libm::floor(low / width) + 1.0;
    let power = libm::pow(10.0, libm::floor(libm::log10((high - low) / bins as f64)));
    let widths = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0].map(|step| step * power);
    let width = widths
        .into_iter()
        .find(|&w| spread(w) <= bins as f64)
        .unwrap_or(high - low);
    let first = libm::floor(low / width);
    let mut counts = vec![0_u64; spread(width) as usize];
    let last = counts.len() - 1;
    for &x in ascending {
        counts[((libm::floor(x / width) - first) as usize).min(last)] += 1;
    }
    Histogram {
        from: first * width,
        width,
        counts,
    }
}

/// The ranks (from 1) of a sample, equal values sharing their mean rank.
pub fn ranks(sample: &[f64]) -> Vec<f64> {
    let mut order: Vec<(f64, u32)> = sample.iter().copied().zip(0..).collect();
    order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut ranks = vec![0.0; sample.len()];
    let mut from = 0;
    while from < order.len() {
        let equal = order[from..]
            .iter()
            .take_while(|x| x.0.total_cmp(&order[from].0).is_eq())
            .count();
        let rank = from as f64 + (equal + 1) as f64 / 2.0;
        for &(_, place) in &order[from..from + equal] {
            ranks[place as usize] = rank;
        }
        from += equal;
    }
    ranks
}

/// Pearson's correlation of two samples of one length; over [`ranks`] it is Spearman's. `None` when one does not vary.
pub fn correlation(a: &[f64], b: &[f64]) -> Option<f64> {
    let (centre_a, centre_b) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        let (dx, dy) = (x - centre_a, y - centre_b);
        ab += dx * dy;
        aa += dx * dx;
        bb += dy * dy;
    }
    let size = libm::sqrt(aa * bb);
    (size > 0.0).then(|| (ab / size).clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_interpolate_between_order_statistics() {
        let sample = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(
            (
                quantile(&sample, 0.5),
                quantile(&sample, 0.1),
                quantile(&sample, 1.0)
            ),
            (2.5, 1.3, 4.0)
        );
        assert_eq!((quantile(&[], 0.5), quantile(&[7.0], 0.9)), (0.0, 7.0));
    }

    #[test]
    fn moments_of_a_small_sample() {
        let sample = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];
        assert_eq!(mean(&sample), 5.0);
        assert!((sd(&sample) - (32.0_f64 / 7.0).sqrt()).abs() < 1e-12);
        assert_eq!((sd(&[3.0]), share_within(&sample, 4.0)), (0.0, 0.5));
    }

    #[test]
    fn a_histogram_counts_everything_once_in_at_most_the_bins_asked_for() {
        let sample: Vec<f64> = (0..1000).map(|i| 10.0 + f64::from(i) * 0.37).collect();
        let made = histogram(&sample, 40);
        assert!(
            made.counts.len() <= 40 && made.counts.len() > 15,
            "{}",
            made.counts.len()
        );
        assert_eq!(
            (made.from, made.width, made.counts.iter().sum::<u64>()),
            (10.0, 10.0, 1000)
        );
        // 10.00, 10.37 .. 19.99 (27.03 steps): 28 values lie below 20.
        assert_eq!(made.counts[0], 28);
        assert_eq!(
            histogram(&[4.0, 4.0], 40),
            Histogram {
                from: 4.0,
                width: 0.0,
                counts: vec![2]
            }
        );
        assert!(histogram(&[], 40).counts.is_empty());
    }

    #[test]
    fn equal_values_share_their_rank() {
        assert_eq!(ranks(&[30.0, 10.0, 20.0, 10.0]), [4.0, 1.5, 3.0, 1.5]);
    }

    #[test]
    fn rank_correlation_sees_order_and_not_size() {
        let a = [1.0, 2.0, 3.0, 4.0];
        let grows = ranks(&[1.0, 10.0, 100.0, 1000.0]);
        assert_eq!(correlation(&ranks(&a), &grows), Some(1.0));
        assert_eq!(
            correlation(&ranks(&a), &ranks(&[4.0, 3.0, 2.0, 1.0])),
            Some(-1.0)
        );
        assert_eq!(correlation(&a, &[5.0; 4]), None);
    }
}
