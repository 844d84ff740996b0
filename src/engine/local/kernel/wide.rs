//! Products in f32 with AVX-512: 32 outputs by up to twelve rows in registers.
#![expect(clippy::needless_range_loop, reason = "registers are numbered; every loop over them is unrolled")]
#![expect(unsafe_code, reason = "vector instructions on packed lines, their bounds checked once per call")]

use std::arch::x86_64::{
    __m512, _mm256_loadu_si256, _mm512_add_ps, _mm512_castsi512_ps, _mm512_cvtepu16_epi32, _mm512_cvtph_ps, _mm512_fmadd_ps,
    _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_slli_epi32, _mm512_storeu_ps,
};

use super::plain::{Plain, RUN};

/// The products of two groups of outputs (the second may be the first again) with some rows: `[rows, 32]`.
///
/// # Safety
/// The processor has AVX-512 F, BW and VL.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn pair<const ELEMENT: usize>(plain: &Plain, groups: [usize; 2], x: &[f32], out: &mut [f32]) {
    let (inputs, rows) = (plain.inputs, x.len() / plain.inputs);
    let panels = groups.map(|group| plain.group(group));
    let bytes = inputs * 16 * plain.element.bytes();
    assert!(plain.element as usize == ELEMENT && x.len() == rows * inputs && out.len() == 32 * rows);
    assert!(panels.iter().all(|panel| panel.len() * 64 >= bytes));
    out.fill(0.0);
    for first in (0..inputs).step_by(RUN) {
        let count = RUN.min(inputs - first);
        let at = first * 16 * plain.element.bytes();
        let mut row = 0;
        while row < rows {
            // SAFETY: the assertions above; as many rows are left as each call takes.
            row += unsafe {
                let panels = [panels[0].as_ptr().cast::<u8>().add(at), panels[1].as_ptr().cast::<u8>().add(at)];
                let (x, out) = (x[row * inputs + first..].as_ptr(), out[32 * row..].as_mut_ptr());
                match rows - row {
                    12.. => tile::<ELEMENT, 12>(panels, x, (inputs, count), out),
                    8.. => tile::<ELEMENT, 8>(panels, x, (inputs, count), out),
                    4.. => tile::<ELEMENT, 4>(panels, x, (inputs, count), out),
                    2.. => tile::<ELEMENT, 2>(panels, x, (inputs, count), out),
                    _ => tile::<ELEMENT, 1>(panels, x, (inputs, count), out),
                }
            };
        }
    }
}

/// Adds one run's sums of `R` rows; returns `R`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn tile<const ELEMENT: usize, const R: usize>(
    panels: [*const u8; 2],
    x: *const f32,
    (stride, count): (usize, usize),
    out: *mut f32,
) -> usize {
    let mut sums = [[_mm512_setzero_ps(); 2]; R];
    // SAFETY: the panels hold `count` inputs from here on, the rows as many values, the result 32 numbers a row.
    unsafe {
        for input in 0..count {
            let weights = [load::<ELEMENT>(panels[0], input), load::<ELEMENT>(panels[1], input)];
            for r in 0..R {
                let value = _mm512_set1_ps(*x.add(r * stride + input));
                for g in 0..2 {
                    sums[r][g] = _mm512_fmadd_ps(weights[g], value, sums[r][g]);
                }
            }
        }
        for (r, sums) in sums.iter().enumerate() {
            for (g, &sum) in sums.iter().enumerate() {
                let place = out.add(32 * r + 16 * g);
                _mm512_storeu_ps(place, _mm512_add_ps(_mm512_loadu_ps(place), sum));
            }
        }
    }
    R
}

/// The sixteen numbers of one input.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn load<const ELEMENT: usize>(panel: *const u8, input: usize) -> __m512 {
    // SAFETY: the input is in the panel.
    unsafe {
        match ELEMENT {
            0 => _mm512_loadu_ps(panel.add(64 * input).cast()),
            1 => _mm512_cvtph_ps(_mm256_loadu_si256(panel.add(32 * input).cast())),
            _ => {
                let bits = _mm512_cvtepu16_epi32(_mm256_loadu_si256(panel.add(32 * input).cast()));
                _mm512_castsi512_ps(_mm512_slli_epi32::<16>(bits))
            }
        }
    }
}
