//! Which vector instructions a computation uses: a [`Level`] can be made only where the processor has it.

use crate::processor::Processor;

/// A width of vectors that this processor has: holding one is the proof that its kernels may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level(pub(crate) Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// Runs everywhere; the compiler makes of it what the build's target allows.
    pub const PORTABLE: Self = Self(Kind::Portable);

    /// The widest this processor has.
    pub fn best() -> Self {
        Self::available().last().copied().unwrap_or(Self::PORTABLE)
    }

    /// All that this processor has, the widest last.
    pub fn available() -> Vec<Self> {
        let mut levels = vec![Self::PORTABLE];
        #[cfg(target_arch = "x86_64")]
        {
            let processor = Processor::detected();
            levels.extend(processor.avx2.then_some(Self(Kind::Avx2)));
            levels.extend(processor.avx512.then_some(Self(Kind::Avx512)));
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = Processor::detected();
        levels
    }

    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512",
        }
    }
}

/// Calls a function that is generic over [`Lanes`](crate::lanes::Lanes) as compiled for a level.
///
/// The generic function and all it calls must be `#[inline(always)]`: only what is inlined into
/// the function with the target feature is compiled with it.
macro_rules! at_level {
    ($level:expr, $generic:ident($($argument:ident: $type:ty),* $(,)?)) => {{
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
        #[allow(clippy::too_many_arguments)]
        fn avx512($($argument: $type),*) {
            $generic::<$crate::lanes_x86::Avx512>($($argument),*)
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        #[allow(clippy::too_many_arguments)]
        fn avx2($($argument: $type),*) {
            $generic::<$crate::lanes_x86::Avx2>($($argument),*)
        }
        match $level.0 {
            $crate::level::Kind::Portable => $generic::<$crate::lanes::Portable>($($argument),*),
            // Safe: a `Level` is made only where the processor has its instructions.
            #[cfg(target_arch = "x86_64")]
            $crate::level::Kind::Avx2 => unsafe { avx2($($argument),*) },
            #[cfg(target_arch = "x86_64")]
            $crate::level::Kind::Avx512 => unsafe { avx512($($argument),*) },
        }
    }};
}
pub(crate) use at_level;
