//! Repeatable chance: a small generator (`SplitMix64`) keyed by what it is for.
//!
//! A day of the model draws tens of thousands of numbers, and history has to be there at once even in a debug build; the
//! quality a cryptographic generator adds would not be seen.

/// A stream of random numbers that depends on its keys alone.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The stream of these keys, for example seed, product and session date.
    pub fn of(keys: &[u64]) -> Self {
        let mut dice = Self(0x005e_ed0f_0a11_d1ce);
        for key in keys {
            dice.0 ^= key.wrapping_mul(0xff51_afd7_ed55_8ccd);
            dice.0 = dice.word();
        }
        dice
    }

    /// 64 random bits.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Uniform in 0.0..1.0.
    pub fn unit(&mut self) -> f64 {
        (self.word() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in `0..count`; 0 when there is nothing to choose.
    pub fn below(&mut self, count: usize) -> usize {
        (self.unit() * count as f64) as usize
    }

    /// Whether something of this probability happens.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Nearly normal, mean 0 and deviation 1: the sum of four sixteen-bit pieces of one word.
    pub fn normal(&mut self) -> f64 {
        let word = self.word();
        let sum = (word & 0xffff) + (word >> 16 & 0xffff) + (word >> 32 & 0xffff) + (word >> 48);
        (sum as f64 / 65_535.0 - 2.0) * 1.732_050_8
    }

    /// Exponential with mean 1.
    pub fn exponential(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }
}
