//! Products with AVX2: 8 outputs at a time, by up to four rows.
#![expect(unsafe_code, reason = "vector instructions on packed lines, their bounds checked once per call")]

use std::arch::x86_64::{
    __m256, __m256i, _mm_loadl_epi64, _mm_loadu_si128, _mm256_abs_epi8, _mm256_add_epi32, _mm256_add_ps, _mm256_castsi256_ps,
    _mm256_cvtepi8_epi32, _mm256_cvtepi32_ps, _mm256_cvtepu8_epi16, _mm256_cvtepu16_epi32, _mm256_cvtph_ps, _mm256_fmadd_ps,
    _mm256_fnmadd_ps, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_mul_ps,
    _mm256_mullo_epi32, _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_ps,
    _mm256_setzero_si256, _mm256_sign_epi8, _mm256_slli_epi32, _mm256_storeu_ps, _mm256_xor_si256,
};
use std::ops::Range;

use super::form::Form;
use super::pack::{Line, Packed};
use super::plain::{Element, Plain, RUN};
use super::portable;
use super::rows::Rows;

/// Rows in registers.
const ROWS: usize = 4;

/// The products of two groups of outputs with some rows: `[rows, 32]`.
///
/// # Safety
/// The processor has AVX2, FMA and F16C.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn blocks(packed: &Packed, groups: [usize; 2], rows: &Rows, range: Range<usize>, out: &mut [f32]) {
    let form = packed.kind.form();
    assert!(rows.inputs == packed.inputs && rows.block == form.block && range.end <= rows.count());
    let mut steps = vec![Line([0; 64]); packed.inputs / 4];
    for (place, group) in groups.into_iter().enumerate() {
        let (lines, sides) = packed.group(group);
        for (steps, lines) in steps.chunks_exact_mut(8).zip(lines.chunks_exact(form.lines())) {
            steps.copy_from_slice(&portable::unpack(form, lines));
        }
        for half in 0..2 {
            let panel = Panel { form, steps: &steps, sides, half };
            let out = &mut out[16 * place + 8 * half..];
            for first in range.clone().step_by(ROWS) {
                let out = &mut out[32 * (first - range.start)..];
                // SAFETY: the processor has the instructions.
                unsafe {
                    match range.end - first {
                        ROWS.. => panel.rows::<ROWS>(rows, first, out),
                        3 => panel.rows::<3>(rows, first, out),
                        2 => panel.rows::<2>(rows, first, out),
                        _ => panel.rows::<1>(rows, first, out),
                    }
                }
            }
        }
    }
}

/// One half of a group of outputs, its steps unpacked.
struct Panel<'a> {
    form: &'static Form,
    steps: &'a [Line],
    sides: &'a [u8],
    half: usize,
}

impl Panel<'_> {
    /// The products with `R` rows.
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn rows<const R: usize>(&self, rows: &Rows, first: usize, out: &mut [f32]) {
        let form = self.form;
        let blocks = rows.inputs / form.block;
        let mut total = [_mm256_setzero_ps(); R];
        for (index, side) in self.sides.chunks_exact(form.side()).enumerate() {
            // SAFETY: the processor has the instructions.
            let (whole, least) = unsafe { self.block::<R>(rows, first, index) };
            let d = halves(side, 8 * self.half);
            for r in 0..R {
                let at = (first + r) * blocks + index;
                let dx = _mm256_set1_ps(rows.d[at]);
                total[r] = _mm256_fmadd_ps(_mm256_mul_ps(d, dx), _mm256_cvtepi32_ps(whole[r]), total[r]);
                if form.mins {
                    let m = _mm256_mul_ps(halves(side, 16 + 8 * self.half), dx);
                    total[r] = _mm256_fnmadd_ps(m, _mm256_cvtepi32_ps(least[r]), total[r]);
                }
                if form.floor {
                    total[r] = _mm256_fmadd_ps(halves(side, 16 + 8 * self.half), _mm256_set1_ps(rows.s[at]), total[r]);
                }
            }
        }
        for (r, &total) in total.iter().enumerate() {
            let place: &mut [f32] = &mut out[32 * r..][..8];
            // SAFETY: eight numbers are there.
            unsafe { _mm256_storeu_ps(place.as_mut_ptr(), total) };
        }
    }

    /// One block: the sums in whole numbers, and those of the least values.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn block<const R: usize>(&self, rows: &Rows, first: usize, index: usize) -> ([__m256i; R], [__m256i; R]) {
        let form = self.form;
        let parts = form.block / form.sub;
        let side = &self.sides[index * form.side()..][..form.side()];
        let sums = if form.sub == 16 { &rows.sums_16 } else { &rows.sums_32 };
        let (mut whole, mut least) = ([_mm256_setzero_si256(); R], [_mm256_setzero_si256(); R]);
        for part in 0..parts {
            let steps = &self.steps[(index * form.block + part * form.sub) / 4..][..form.sub / 4];
            for r in 0..R {
                let row = first + r;
                let at = row * rows.inputs + index * form.block + part * form.sub;
                let x = &rows.q[at..][..form.sub];
                let sum = i32::from(sums[at / form.sub]);
                // SAFETY: as many steps as fours of values.
                let mut products =
                    unsafe { if form.low == 8 { signed(steps, x, self.half) } else { unsigned(steps, x, self.half) } };
                if form.low != 8 && form.offset != 0 {
                    products = _mm256_add_epi32(products, _mm256_set1_epi32(sum.wrapping_mul(-form.offset)));
                }
                if form.scaled {
                    let scales = &side[form.scales_at() + 16 * part + 8 * self.half..][..8];
                    // SAFETY: eight bytes are there.
                    let scales = _mm256_cvtepi8_epi32(unsafe { _mm_loadl_epi64(scales.as_ptr().cast()) });
                    products = _mm256_mullo_epi32(products, scales);
                }
                whole[r] = _mm256_add_epi32(whole[r], products);
                if form.mins && part % 2 == 0 {
                    let mins = &side[form.mins_at() + 16 * part + 16 * self.half..][..16];
                    // SAFETY: sixteen bytes are there.
                    let mins = _mm256_cvtepu8_epi16(unsafe { _mm_loadu_si128(mins.as_ptr().cast()) });
                    let two = (sum & 0xffff) | (i32::from(sums[at / form.sub + 1]) << 16);
                    least[r] = _mm256_add_epi32(least[r], _mm256_madd_epi16(mins, _mm256_set1_epi32(two)));
                }
            }
        }
        (whole, least)
    }
}

/// Sums of unsigned weights below 64 times values: two products stay within 16 bits.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn unsigned(steps: &[Line], x: &[i8], half: usize) -> __m256i {
    let mut sum = _mm256_setzero_si256();
    for (step, x) in steps.iter().zip(x.as_chunks::<4>().0) {
        let four = _mm256_set1_epi32(i32::from_le_bytes(x.map(i8::cast_unsigned)));
        // SAFETY: half a line is 32 bytes.
        let weights = unsafe { _mm256_loadu_si256(step.0[32 * half..][..32].as_ptr().cast()) };
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(weights, four), _mm256_set1_epi16(1)));
    }
    sum
}

/// Sums of weights of 8 bits, stored with 128 added: magnitudes up to 128 times values up to 127 stay within 16 bits in
/// pairs.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn signed(steps: &[Line], x: &[i8], half: usize) -> __m256i {
    let mut sum = _mm256_setzero_si256();
    for (step, x) in steps.iter().zip(x.as_chunks::<4>().0) {
        let four = _mm256_set1_epi32(i32::from_le_bytes(x.map(i8::cast_unsigned)));
        // SAFETY: half a line is 32 bytes.
        let stored = unsafe { _mm256_loadu_si256(step.0[32 * half..][..32].as_ptr().cast()) };
        let weights = _mm256_xor_si256(stored, _mm256_set1_epi8(i8::MIN));
        let products = _mm256_maddubs_epi16(_mm256_abs_epi8(weights), _mm256_sign_epi8(four, weights));
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(products, _mm256_set1_epi16(1)));
    }
    sum
}

/// Eight f16 as f32, from the n-th on.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn halves(side: &[u8], first: usize) -> __m256 {
    let place: &[u8] = &side[2 * first..][..16];
    // SAFETY: sixteen bytes are there.
    _mm256_cvtph_ps(unsafe { _mm_loadu_si128(place.as_ptr().cast()) })
}

/// The products of two panels of numbers with some rows: `[rows, 32]`.
///
/// # Safety
/// The processor has AVX2, FMA and F16C.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn numbers(plain: &Plain, groups: [usize; 2], x: &[f32], out: &mut [f32]) {
    for (place, group) in groups.into_iter().enumerate() {
        let panel = plain.group(group);
        for half in 0..2 {
            let out = &mut out[16 * place + 8 * half..];
            for (index, x) in x.chunks(ROWS * plain.inputs).enumerate() {
                let out = &mut out[32 * ROWS * index..];
                // SAFETY: the processor has the instructions.
                unsafe {
                    match x.len() / plain.inputs {
                        ROWS.. => lines::<ROWS>(plain, (panel, half), x, out),
                        3 => lines::<3>(plain, (panel, half), x, out),
                        2 => lines::<2>(plain, (panel, half), x, out),
                        _ => lines::<1>(plain, (panel, half), x, out),
                    }
                }
            }
        }
    }
}

/// One half of a panel times `R` rows.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn lines<const R: usize>(plain: &Plain, (panel, half): (&[Line], usize), x: &[f32], out: &mut [f32]) {
    let size = plain.element.bytes();
    let mut total = [_mm256_setzero_ps(); R];
    for first in (0..plain.inputs).step_by(RUN) {
        let mut partial = [_mm256_setzero_ps(); R];
        for input in first..plain.inputs.min(first + RUN) {
            let at = (16 * input + 8 * half) * size;
            let raw: &[u8] = &panel[at / 64].0[at % 64..][..8 * size];
            // SAFETY: eight numbers are there.
            let weights = unsafe {
                match plain.element {
                    Element::F32 => _mm256_loadu_ps(raw.as_ptr().cast()),
                    Element::F16 => _mm256_cvtph_ps(_mm_loadu_si128(raw.as_ptr().cast())),
                    Element::BF16 => {
                        let bits = _mm256_cvtepu16_epi32(_mm_loadu_si128(raw.as_ptr().cast()));
                        _mm256_castsi256_ps(_mm256_slli_epi32::<16>(bits))
                    }
                }
            };
            for (r, partial) in partial.iter_mut().enumerate() {
                *partial = _mm256_fmadd_ps(weights, _mm256_set1_ps(x[r * plain.inputs + input]), *partial);
            }
        }
        for (total, partial) in total.iter_mut().zip(partial) {
            *total = _mm256_add_ps(*total, partial);
        }
    }
    for (r, &total) in total.iter().enumerate() {
        let place: &mut [f32] = &mut out[32 * r..][..8];
        // SAFETY: eight numbers are there.
        unsafe { _mm256_storeu_ps(place.as_mut_ptr(), total) };
    }
}
