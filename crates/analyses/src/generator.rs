//! Random numbers that a seed fixes on every machine: xoshiro256++, seeded through SplitMix64.

/// The generator xoshiro256++ of Blackman and Vigna (2019).
#[derive(Clone, Debug)]
pub struct Generator {
    state: [u64; 4],
}

impl Generator {
    /// A generator whose whole stream follows from `seed`.
    pub fn new(seed: u64) -> Self {
        let mut counter = seed;
        let mut split_mix = || {
            counter = counter.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = counter;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        };
        Self {
            state: [split_mix(), split_mix(), split_mix(), split_mix()],
        }
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let shifted = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= shifted;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// A number strictly between 0 and 1: the middle of one of 2^52 equal cells.
    pub fn uniform(&mut self) -> f64 {
        ((self.bits() >> 12) as f64 + 0.5) * (1.0 / 4_503_599_627_370_496.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeding_is_split_mix() {
        // The first three outputs of SplitMix64 for the seed 1234567, as its author publishes them.
        let state = Generator::new(1_234_567).state;
        assert_eq!(
            state[..3],
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn the_stream_is_xoshiro256_plus_plus() {
        // The reference stream of the state 1, 2, 3, 4.
        let mut generator = Generator {
            state: [1, 2, 3, 4],
        };
        let stream: Vec<u64> = (0..4).map(|_| generator.bits()).collect();
        assert_eq!(
            stream,
            [
                41_943_041,
                58_720_359,
                3_588_806_011_781_223,
                3_591_011_842_654_386
            ]
        );
    }

    #[test]
    fn uniforms_never_touch_the_ends_and_have_the_right_mean() {
        let mut generator = Generator::new(7);
        let numbers: Vec<f64> = (0..100_000).map(|_| generator.uniform()).collect();
        assert!(numbers.iter().all(|&u| u > 0.0 && u < 1.0));
        let mean = numbers.iter().sum::<f64>() / 1e5;
        // The mean of 100,000 uniforms has a standard deviation of 0.0009.
        assert!((mean - 0.5).abs() < 0.004, "{mean}");
    }
}
