//! What both targets share: memory that is counted, a place for files, and everything that can be asked of an open model.

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use quantgate::weights::Checkpoint;

/// Most bytes that reading a file may take beside four times its size: tables of the tokenizer library, compiled regular
/// expressions and JSON trees have a floor that does not shrink with the file. Every seed (37 to 109 kB) opens under it;
/// what is asked of larger files is four times their size alone.
pub const FLOOR: usize = 16 << 20;

/// The system's allocator with a count of the bytes that are in use.
pub struct Counted;

static USED: AtomicUsize = AtomicUsize::new(0);
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Ends the program where more than the limit is in use: a panic could not be relied on within an allocation.
fn take(bytes: usize) {
    let used = USED.fetch_add(bytes, Ordering::Relaxed).wrapping_add(bytes);
    // The difference may wrap where what was taken before the count began is given back.
    if used > LIMIT.load(Ordering::Relaxed) && used < usize::MAX / 2 {
        LIMIT.store(usize::MAX, Ordering::Relaxed);
        eprintln!("ALLOCATION: {used} bytes are in use, the last of them {bytes}");
        std::process::abort();
    }
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        USED.fetch_sub(layout.size(), Ordering::Relaxed);
        take(size);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counted = Counted;

/// Runs `work` under a limit of four times `size` bytes and the floor, beyond what is in use already. A thread of its own
/// gives back what libraries keep per thread.
pub fn limited(size: usize, work: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            LIMIT.store(USED.load(Ordering::Relaxed).saturating_add((4 * size).max(FLOOR)), Ordering::Relaxed);
            work();
            LIMIT.store(usize::MAX, Ordering::Relaxed);
        });
    });
}

/// A folder in memory, one per process.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = base.join(format!("quantgate-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder for files");
        folder
    })
}

/// Opens a model, and where that works encodes and decodes texts and reads a row of each kind of tensor.
pub fn explore(path: &Path, tokenizer: Option<&Path>) {
    let Ok(model) = Checkpoint::open(path, tokenizer) else { return };
    for text in ["", " Hello  world, it's 123\n\t", "<s>中 é\u{0}👩\u{200d}🚀</s>"] {
        if let Ok(encoding) = model.tokenizer().encode_fast(text, true) {
            let _ = model.tokenizer().decode(encoding.get_ids(), false);
        }
    }
    let _ = (model.chat_template(), model.special(), model.facts());
    let config = model.config();
    let mut names: Vec<String> =
        ["token_embd", "output", "output_norm", "rope_freqs"].map(|part| format!("{part}.weight")).into();
    let parts = [
        "attn_norm",
        "attn_q",
        "attn_k",
        "attn_v",
        "attn_output",
        "attn_q_norm",
        "ffn_norm",
        "ffn_gate_inp",
        "ffn_gate",
        "ffn_up",
        "ffn_down",
        "ffn_gate.0",
        "ffn_up.1",
        "ffn_down.0",
        "post_attention_norm",
    ];
    for layer in [0, config.layers.saturating_sub(1)] {
        names.extend(parts.map(|part| format!("blk.{layer}.{part}.weight")));
        names.extend(["q", "k", "v"].map(|part| format!("blk.{layer}.attn_{part}.bias")));
    }
    for name in names {
        if !model.has(&name) {
            continue;
        }
        let Ok(matrix) = model.matrix(&name) else { continue };
        if matrix.rows > 0 {
            let row = matrix.slice(matrix.rows - 1..matrix.rows);
            let mut out = vec![0.0; row.columns];
            let _ = row.read(&mut out);
        }
        if matrix.rows * matrix.columns <= 1 << 14 {
            let _ = (model.tensor(&name), model.stored(&name));
        }
    }
}
