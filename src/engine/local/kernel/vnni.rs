//! Products of packed blocks with AVX-512 VNNI: 32 outputs by up to six rows in registers.
#![expect(clippy::needless_range_loop, reason = "registers are numbered; every loop over them is unrolled")]
#![expect(unsafe_code, reason = "vector instructions on packed lines, their bounds checked once per call")]

use std::arch::x86_64::{
    __m512, __m512i, _mm_loadu_si128, _mm256_loadu_si256, _mm512_add_epi32, _mm512_and_si512, _mm512_cvtepi8_epi32,
    _mm512_cvtepi32_ps, _mm512_cvtepu8_epi16, _mm512_cvtph_ps, _mm512_dpbusd_epi32, _mm512_dpwssd_epi32, _mm512_fmadd_ps,
    _mm512_fnmadd_ps, _mm512_mul_ps, _mm512_mullo_epi32, _mm512_or_si512, _mm512_set1_epi8, _mm512_set1_epi32, _mm512_set1_ps,
    _mm512_setzero_ps, _mm512_setzero_si512, _mm512_slli_epi16, _mm512_srli_epi16, _mm512_storeu_ps,
};
use std::ops::Range;

use super::form::FORMS;
use super::pack::Packed;
use super::rows::Rows;

/// Where one call finds its operands; `row` counts from the pointers.
struct Place {
    /// Lines of the two groups of outputs.
    lines: [*const __m512i; 2],
    /// Their scales.
    sides: [*const u8; 2],
    x: *const i8,
    d: *const f32,
    s: *const f32,
    sums: *const i16,
    inputs: usize,
    blocks: usize,
}

/// The products of two groups of outputs (the second may be the first again) with some rows: `[rows, 32]`.
///
/// # Safety
/// The processor has AVX-512 F, BW, VL and VNNI.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(super) unsafe fn pair<const KIND: usize>(
    packed: &Packed,
    groups: [usize; 2],
    rows: &Rows,
    range: Range<usize>,
    out: &mut [f32],
) {
    let form = const { &FORMS[KIND] };
    let ((lines, sides), (lines_2, sides_2)) = (packed.group(groups[0]), packed.group(groups[1]));
    let (units, blocks) = (packed.inputs / 32, packed.inputs / form.block);
    assert!(packed.kind as usize == KIND && rows.inputs == packed.inputs && rows.block == form.block);
    assert!(lines.len() == units * form.lines() && sides.len() == blocks * form.side() && lines_2.len() == lines.len());
    assert!(sides_2.len() == sides.len() && range.end <= rows.count() && out.len() == 32 * range.len());
    let sums = if form.sub == 16 { &rows.sums_16 } else { &rows.sums_32 };
    let place = Place {
        lines: [lines.as_ptr().cast(), lines_2.as_ptr().cast()],
        sides: [sides.as_ptr(), sides_2.as_ptr()],
        x: rows.q[range.start * rows.inputs..].as_ptr(),
        d: rows.d[range.start * blocks..].as_ptr(),
        s: rows.s[range.start * blocks..].as_ptr(),
        sums: sums[range.start * (rows.inputs / form.sub)..].as_ptr(),
        inputs: packed.inputs,
        blocks,
    };
    let mut at = 0;
    while at < range.len() {
        let out = out[32 * at..].as_mut_ptr();
        // SAFETY: the assertions above; as many rows are left as each call takes.
        at += unsafe {
            match range.len() - at {
                6.. => tile::<KIND, 6>(&place, at, out),
                4.. => tile::<KIND, 4>(&place, at, out),
                2.. => tile::<KIND, 2>(&place, at, out),
                _ => tile::<KIND, 1>(&place, at, out),
            }
        };
    }
}

/// `R` rows from `row` on; returns `R`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn tile<const KIND: usize, const R: usize>(place: &Place, row: usize, out: *mut f32) -> usize {
    let form = const { &FORMS[KIND] };
    let mut total = [[_mm512_setzero_ps(); 2]; R];
    let parts = form.block / form.sub;
    // SAFETY: the caller's operands reach over `blocks` blocks of both groups and of the rows.
    unsafe {
        let x: [*const i8; R] = std::array::from_fn(|r| place.x.add((row + r) * place.inputs));
        let sums: [*const i16; R] = std::array::from_fn(|r| place.sums.add((row + r) * (place.inputs / form.sub)));
        for block in 0..place.blocks {
            let lines = place.lines.map(|lines| lines.add(block * (form.block / 32) * form.lines()));
            let sides = place.sides.map(|side| side.add(block * form.side()));
            let x = x.map(|x| x.add(block * form.block));
            let sums = sums.map(|sums| sums.add(block * parts));
            let whole = if form.scaled {
                super_block::<KIND, R>(lines, sides, x, sums)
            } else {
                unit::<KIND, R>(lines, 0, 2, x, start::<KIND, R>(sums, 0))
            };
            let d = [halves(sides[0]), halves(sides[1])];
            for r in 0..R {
                let dx = _mm512_set1_ps(*place.d.add((row + r) * place.blocks + block));
                for g in 0..2 {
                    total[r][g] = _mm512_fmadd_ps(_mm512_mul_ps(d[g], dx), _mm512_cvtepi32_ps(whole[r][g]), total[r][g]);
                }
            }
            if form.mins {
                let m = [halves(sides[0].add(32)), halves(sides[1].add(32))];
                let least = mins::<KIND, R>(sides, sums);
                for r in 0..R {
                    let dx = _mm512_set1_ps(*place.d.add((row + r) * place.blocks + block));
                    for g in 0..2 {
                        let factor = _mm512_mul_ps(m[g], dx);
                        total[r][g] = _mm512_fnmadd_ps(factor, _mm512_cvtepi32_ps(least[r][g]), total[r][g]);
                    }
                }
            }
            if form.floor {
                let m = [halves(sides[0].add(32)), halves(sides[1].add(32))];
                for r in 0..R {
                    let s = _mm512_set1_ps(*place.s.add((row + r) * place.blocks + block));
                    for g in 0..2 {
                        total[r][g] = _mm512_fmadd_ps(m[g], s, total[r][g]);
                    }
                }
            }
        }
        for (r, total) in total.iter().enumerate() {
            for (g, &total) in total.iter().enumerate() {
                _mm512_storeu_ps(out.add(32 * r + 16 * g), total);
            }
        }
    }
    R
}

/// Sixteen f16 as f32.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn halves(side: *const u8) -> __m512 {
    // SAFETY: 32 bytes are there.
    unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(side.cast())) }
}

/// Sixteen signed bytes as integers.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn bytes(side: *const u8) -> __m512i {
    // SAFETY: 16 bytes are there.
    unsafe { _mm512_cvtepi8_epi32(_mm_loadu_si128(side.cast())) }
}

/// Thirty-two bytes as 16-bit integers.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn words(side: *const u8) -> __m512i {
    // SAFETY: 32 bytes are there.
    unsafe { _mm512_cvtepu8_epi16(_mm256_loadu_si256(side.cast())) }
}

/// What the sums begin with so that the stored integers' offset goes out.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn start<const KIND: usize, const R: usize>(sums: [*const i16; R], part: usize) -> [[__m512i; 2]; R] {
    let form = const { &FORMS[KIND] };
    if form.offset == 0 {
        return [[_mm512_setzero_si512(); 2]; R];
    }
    let mut start = [[_mm512_setzero_si512(); 2]; R];
    for (start, sums) in start.iter_mut().zip(sums) {
        // SAFETY: the part's sum is there.
        let sum = unsafe { i32::from(*sums.add(part)) };
        *start = [_mm512_set1_epi32(sum.wrapping_mul(-form.offset)); 2];
    }
    start
}

/// One super-block: its parts' sums times their integer scales.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn super_block<const KIND: usize, const R: usize>(
    lines: [*const __m512i; 2],
    sides: [*const u8; 2],
    x: [*const i8; R],
    sums: [*const i16; R],
) -> [[__m512i; 2]; R] {
    let form = const { &FORMS[KIND] };
    let mut whole = [[_mm512_setzero_si512(); 2]; R];
    // SAFETY: eight units lie in a super-block, and each part has its scales.
    unsafe {
        for index in 0..8 {
            let lines = lines.map(|lines| lines.add(index * form.lines()));
            let x = x.map(|x| x.add(32 * index));
            for half in 0..32 / form.sub {
                let part = index * (32 / form.sub) + half;
                let products = unit::<KIND, R>(lines, half, form.sub / 16, x, start::<KIND, R>(sums, part));
                let at = form.scales_at() + 16 * part;
                let scales = [bytes(sides[0].add(at)), bytes(sides[1].add(at))];
                for r in 0..R {
                    for g in 0..2 {
                        whole[r][g] = _mm512_add_epi32(whole[r][g], _mm512_mullo_epi32(products[r][g], scales[g]));
                    }
                }
            }
        }
    }
    whole
}

/// Adds the products of some halves of a unit.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn unit<const KIND: usize, const R: usize>(
    lines: [*const __m512i; 2],
    first: usize,
    count: usize,
    x: [*const i8; R],
    mut sums: [[__m512i; 2]; R],
) -> [[__m512i; 2]; R] {
    // SAFETY: a unit has two halves of four steps, its rows 32 values.
    unsafe {
        for half in first..first + count {
            let words = [steps::<KIND>(lines[0], half), steps::<KIND>(lines[1], half)];
            for step in 0..4 {
                for r in 0..R {
                    let four = _mm512_set1_epi32(x[r].add(16 * half + 4 * step).cast::<i32>().read_unaligned());
                    for g in 0..2 {
                        sums[r][g] = _mm512_dpbusd_epi32(sums[r][g], words[g][step], four);
                    }
                }
            }
        }
    }
    sums
}

/// The four steps of one half of a unit.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn steps<const KIND: usize>(lines: *const __m512i, half: usize) -> [__m512i; 4] {
    let form = const { &FORMS[KIND] };
    // SAFETY: the unit's lines are there.
    let line = |at: usize| unsafe { *lines.add(at) };
    let mut words = match form.low {
        8 => [line(4 * half), line(4 * half + 1), line(4 * half + 2), line(4 * half + 3)],
        4 => {
            let (a, b, mask) = (line(2 * half), line(2 * half + 1), _mm512_set1_epi8(15));
            let low = |x| _mm512_and_si512(x, mask);
            [low(a), low(_mm512_srli_epi16::<4>(a)), low(b), low(_mm512_srli_epi16::<4>(b))]
        }
        _ => {
            let (a, mask) = (line(half), _mm512_set1_epi8(3));
            let low = |x| _mm512_and_si512(x, mask);
            [low(a), low(_mm512_srli_epi16::<2>(a)), low(_mm512_srli_epi16::<4>(a)), low(_mm512_srli_epi16::<6>(a))]
        }
    };
    if form.high > 0 {
        let upper = match (form.low, form.high) {
            (4, 2) => {
                let a = line(form.low + half);
                [_mm512_slli_epi16::<4>(a), _mm512_slli_epi16::<2>(a), a, _mm512_srli_epi16::<2>(a)]
            }
            (low, _) => {
                let a = line(low);
                let a = if half == 1 { _mm512_srli_epi16::<4>(a) } else { a };
                let a = if low == 4 { _mm512_slli_epi16::<2>(a) } else { a };
                [_mm512_slli_epi16::<2>(a), _mm512_slli_epi16::<1>(a), a, _mm512_srli_epi16::<1>(a)]
            }
        };
        let mask = _mm512_set1_epi8(((1 << form.high) - 1) << form.low);
        for (word, upper) in words.iter_mut().zip(upper) {
            *word = _mm512_or_si512(*word, _mm512_and_si512(upper, mask));
        }
    }
    words
}

/// One super-block's least values times the rows' sums.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn mins<const KIND: usize, const R: usize>(sides: [*const u8; 2], sums: [*const i16; R]) -> [[__m512i; 2]; R] {
    let form = const { &FORMS[KIND] };
    let mut least = [[_mm512_setzero_si512(); 2]; R];
    // SAFETY: two parts have 32 least values and, in every row, two sums side by side.
    unsafe {
        for pair in 0..form.block / form.sub / 2 {
            let at = form.mins_at() + 32 * pair;
            let mins = [words(sides[0].add(at)), words(sides[1].add(at))];
            for r in 0..R {
                let two = _mm512_set1_epi32(sums[r].add(2 * pair).cast::<i32>().read_unaligned());
                for g in 0..2 {
                    least[r][g] = _mm512_dpwssd_epi32(least[r][g], mins[g], two);
                }
            }
        }
    }
    least
}
