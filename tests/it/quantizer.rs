//! What is quantized here is, byte for byte, what llama-quantize made of the same weights (tests/fixtures/quantizer/make.py).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use quantgate::weights::{Checkpoint, Imatrix, Order, Recipe, TensorType, quantize, quantize_rows};
use sha2::{Digest as _, Sha256};

const COLUMNS: usize = 4096;

const TYPES: [TensorType; 10] = [
    TensorType::Q4_0,
    TensorType::Q4_1,
    TensorType::Q5_0,
    TensorType::Q5_1,
    TensorType::Q8_0,
    TensorType::Q2_K,
    TensorType::Q3_K,
    TensorType::Q4_K,
    TensorType::Q5_K,
    TensorType::Q6_K,
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/quantizer").join(name)
}

fn demo() -> Checkpoint {
    Checkpoint::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo"), None).expect("the bundled model opens")
}

/// A fixture's lines in words, each ending in a digest.
fn digests(name: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(fixture(name)).expect("the fixture is there");
    text.lines().map(|line| line.split(' ').map(str::to_owned).collect()).collect()
}

fn hex(digest: Sha256) -> String {
    digest.finalize().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

/// One step of splitmix64.
fn mix(state: u64) -> u64 {
    let golden = 0x9E37_79B9_7F4A_7C15_u64;
    let z = state.wrapping_mul(golden).wrapping_add(golden);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Nearly normal weights, one in eight 4 times and one in 32 16 times as great; exact integers over 2^20.
fn heavy(rows: usize, seed: u64) -> Vec<f32> {
    let weight = |index: u64| {
        let state = index * 2 + (seed << 40);
        let value = mix(state);
        let total = (0..4).map(|part| i64::from((value >> (16 * part)) as u16)).sum::<i64>() - 131_070;
        let factor = match mix(state + 1) & 0xFF {
            0..8 => 16,
            8..40 => 4,
            _ => 1,
        };
        (total * factor) as f32 / (1 << 20) as f32
    };
    (0..(rows * COLUMNS) as u64).map(weight).collect()
}

/// 32 rows: zeros, lone giants, constants, denormals, one sign only, ties, groups far below their neighbours.
fn hard() -> Vec<f32> {
    let weight = |(index, h): (usize, f32)| {
        let (row, column) = (index / COLUMNS, index % COLUMNS);
        let bits = f32::from_bits;
        let alternating = if column.is_multiple_of(2) { 1.0 } else { -1.0 };
        match row {
            1 if column.is_multiple_of(256) => 1000.0,
            0 | 1 => 0.0,
            16 if !column.is_multiple_of(97) => 0.0,
            21 if column % 64 == 5 => 0.0,
            23 if (column / 16).is_multiple_of(3) => 0.0,
            2 if column == 100 => 50_000.0,
            3 => 0.7,
            4 => -0.3,
            5 => h * bits(1 << 9),
            6 => h * f32::MIN_POSITIVE,
            7 => -h.abs() - 0.0001,
            8 => h.abs() + 0.0001,
            9 => h * 2.0_f32.powi(-24),
            10 => alternating,
            11 => -alternating * 0.125,
            12 => h.abs() + 100.0,
            13 => -h.abs() - 100.0,
            14 => (column % 32) as f32,
            15 => -((column % 32) as f32),
            17 => h * 2.0_f32.powi(-60),
            18 => h * 4096.0,
            19 => bits(1),
            20 => -bits(1 << 19),
            21 if column.is_multiple_of(32) => h * bits(1 << 19),
            22 if column / 32 % 2 == 1 => h * 2.0_f32.powi(-12),
            24 if (column / 256).is_multiple_of(2) => h * 1e-16,
            25 => 1.0 + h * 2.0_f32.powi(-10),
            26 => (h * 64.0).round_ties_even() / 2.0,
            27 => (h * 8.0).round_ties_even(),
            28 if h > 0.0 => h * 0.01,
            _ => h,
        }
    };
    heavy(32, 9).into_iter().enumerate().map(weight).collect()
}

/// The mean squares that three tokens left behind, with heavy tails.
fn importance() -> Vec<f32> {
    let mean = |index: u64| {
        let value = mix(index + (1 << 40));
        let number = ((value >> 44) + 1) >> (value & 7);
        (number + 1) as f32 / 1024.0 / 3.0
    };
    (0..COLUMNS as u64).map(mean).collect()
}

#[test]
fn every_type_has_the_bytes_of_llama_quantize_with_importances_and_without() {
    let matrices = [("heavy", heavy(512, 0)), ("hard", hard())];
    let importance = importance();
    let expected = digests("matrices.txt");
    assert_eq!(expected.len(), TYPES.len() * 4);
    for line in expected {
        let [matrix, kind, way, digest] = line.as_slice() else { panic!("four words a line: {line:?}") };
        let (_, values) = matrices.iter().find(|(name, _)| name == matrix).expect("a matrix of the test");
        let kind = TYPES.into_iter().find(|known| known.to_string() == *kind).expect("a type of the test");
        let importance = (way == "important").then_some(importance.as_slice());
        let blocks = quantize_rows(kind, values, COLUMNS, importance);
        let found = hex(Sha256::new_with_prefix(blocks));
        assert_eq!(found, *digest, "{matrix} {kind} {way}");
    }
}

#[test]
fn experts_have_importances_of_their_own() {
    let values = heavy(8, 3);
    let (first, second) = (importance(), importance().into_iter().rev().collect::<Vec<f32>>());
    for kind in TYPES {
        let together = quantize_rows(kind, &values, COLUMNS, Some(&[first.as_slice(), &second].concat()));
        let (upper, lower) = values.split_at(4 * COLUMNS);
        let alone = [(upper, &first), (lower, &second)];
        let alone = alone.map(|(values, importance)| quantize_rows(kind, values, COLUMNS, Some(importance))).concat();
        assert_eq!(together, alone, "{kind}");
    }
}

/// The matrices' types and bytes, in the order of their names.
fn contents(path: &Path) -> String {
    let model = Checkpoint::open(path, None).expect("what was written opens");
    let mut names = vec!["token_embd.weight".to_owned()];
    for layer in 0..model.config().layers {
        let parts = ["attn_k", "attn_output", "attn_q", "attn_v", "ffn_down", "ffn_gate", "ffn_up"];
        names.extend(parts.map(|part| format!("blk.{layer}.{part}.weight")));
    }
    names.sort();
    let mut digest = Sha256::new();
    for name in names {
        let matrix = model.matrix(&name).expect("a llama model has it");
        digest.update(format!("{name} {}\n", matrix.kind));
        digest.update(matrix.bytes);
    }
    hex(digest)
}

#[test]
fn every_mix_of_the_demo_model_has_the_types_and_bytes_of_llama_quantize() {
    let source = demo();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let imatrix = Imatrix::open(&fixture("demo-imatrix.gguf")).expect("it is one");
    for line in digests("demo.txt") {
        let [mix, way, digest] = line.as_slice() else { panic!("three words a line: {line:?}") };
        let recipe: Recipe = mix.parse().expect("a known mix");
        let order = Order { recipe, imatrix: (way == "important").then_some(&imatrix) };
        let path = folder.path().join(format!("{mix}-{way}.gguf"));
        quantize(&source, order, &path, &mut |_, _| ()).expect("it is written");
        assert_eq!(contents(&path), *digest, "{mix} {way}");
        fs::remove_file(&path).expect("it was written");
    }
}

#[test]
fn both_forms_of_an_importance_matrix_make_one_file() {
    let source = demo();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let made = ["demo-imatrix.gguf", "demo-imatrix.dat"].map(|name| {
        let imatrix = Imatrix::open(&fixture(name)).expect("it is one");
        assert_eq!(imatrix.tensors().count(), 28, "{name}");
        let path = folder.path().join(name);
        quantize(&source, Order { recipe: Recipe::Q4KM, imatrix: Some(&imatrix) }, &path, &mut |_, _| ()).expect("written");
        contents(&path)
    });
    assert_eq!(made[0], made[1]);
}

/// Runs `quantgate quantize models/demo` with an importance matrix; its exit code and what it said.
fn run(to: &str, imatrix: &Path, out: &Path) -> (i32, String) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_quantgate"));
    command.args(["quantize", "--to", to, "--force"]).arg(root.join("models/demo"));
    command.arg("--imatrix").arg(imatrix).arg("--out").arg(out);
    let done = command.output().expect("quantgate runs");
    (done.status.code().expect("it ended by itself"), String::from_utf8_lossy(&done.stderr).into_owned())
}

/// One entry of the older form.
fn entry(name: &str, calls: i32, values: &[f32]) -> Vec<u8> {
    let mut bytes = (name.len() as u32).to_le_bytes().to_vec();
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(&calls.to_le_bytes());
    bytes.extend_from_slice(&(values.len() as u32).to_le_bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

#[test]
fn an_importance_matrix_that_does_not_fit_is_refused_in_a_sentence_and_strangers_are_noted() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (path, out) = (folder.path().join("broken.dat"), folder.path().join("out.gguf"));
    let file = |entries: &[Vec<u8>]| [(entries.len() as u32).to_le_bytes().to_vec(), entries.concat()].concat();
    let whole = fs::read(fixture("demo-imatrix.dat")).expect("there");
    let cases: [(Vec<u8>, &str); 6] = [
        (file(&[entry("blk.0.attn_q.weight", 1, &[1.0; 8])]), "tensor `blk.0.attn_q.weight` has 8 importances"),
        (file(&[entry("blk.0.attn_k.weight", 1, &[1.0; 256])]), "tensor `blk.0.attn_q.weight` is missing"),
        (file(&[entry("blk.0.attn_q.weight", 1, &[f32::NAN; 256])]), "importances that are not finite"),
        (whole[..whole.len() / 2].to_vec(), "ends within"),
        (vec![0; 64], "0 for the number of entries"),
        (fs::read(fixture("demo-imatrix.gguf")).expect("there")[..900].to_vec(), "cut off"),
    ];
    for (bytes, words) in cases {
        fs::write(&path, bytes).expect("writable");
        let (code, said) = run("q4_0", &path, &out);
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(words) && said.contains("broken.dat"), "{words}: {said}");
        assert!(!out.exists(), "nothing was written");
    }
    let count = i32::from_le_bytes(*whole.first_chunk().expect("a count"));
    let mut more = (count + 1).to_le_bytes().to_vec();
    more.extend(entry("blk.9.attn_q.weight", 1, &[1.0; 256]));
    more.extend_from_slice(&whole[4..]);
    fs::write(&path, more).expect("writable");
    let (code, said) = run("q2_k_s", &path, &out);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("blk.9.attn_q.weight"), "{said}");
}

#[test]
fn a_mix_that_is_nothing_without_importances_is_refused_without_them() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let fault = quantize(&demo(), Recipe::Q2KS, &folder.path().join("out.gguf"), &mut |_, _| ()).expect_err("refused");
    assert!(fault.to_string().contains("importance matrix"), "{fault}");
    assert!(fault.hint().is_some_and(|hint| hint.contains("--imatrix")));
}
