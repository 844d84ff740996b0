//! Token sequences that share their beginnings, as a forest: every shared token is laid out, and computed, once; what may be
//! of use again outlives its pass, and the longest unused goes first where room is needed.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::cache::{PAGE, PASSING, Piece, Write};

/// The parent of first tokens: a node without tokens.
const ROOT: u32 = 0;

/// A run of new tokens without a branch inside, and the keys that they see.
pub(super) struct Block {
    /// Its first row in the pass.
    pub row: usize,
    /// Number of rows; row j sees the keys of every piece up to its own position.
    pub rows: usize,
    /// Position of its first row.
    pub start: usize,
    /// The keys from position 0 on, its own included, in the order of their positions.
    pub pieces: Vec<Piece>,
}

/// One pass through the decoder: new tokens, where their keys go and what they see.
#[derive(Default)]
pub(super) struct Pass {
    /// The new tokens, one a row.
    pub tokens: Vec<u32>,
    /// Their positions.
    pub positions: Vec<u32>,
    /// Who sees what; blocks cover the rows in order.
    pub blocks: Vec<Block>,
    /// Where keys and values go, in the order of pages.
    pub writes: Vec<Write>,
    /// The rows whose final state is wanted, ascending.
    pub wanted: Vec<u32>,
}

impl Pass {
    /// Puts in order what was added in any order.
    pub(super) fn close(&mut self) {
        self.writes.sort_unstable_by_key(|write| write.page);
        self.wanted.sort_unstable();
        self.wanted.dedup();
    }
}

/// Up to a page of tokens after some tokens of its parent.
struct Node {
    tokens: Vec<u32>,
    page: usize,
    parent: u32,
    /// How many of the parent's tokens stand before.
    at: u32,
    children: u32,
    /// Answers under way that stand on it.
    users: u32,
    /// The last pass that it served.
    used: u64,
    /// The row of its first token in the pass that computes it.
    row: u32,
}

/// Where a node hangs, and its first token.
type Place = (u32, u32, u32);

/// A sequence in the forest: nodes, and how many of their tokens.
#[derive(Clone, Default)]
pub(super) struct Path {
    steps: Vec<(u32, u32)>,
    len: usize,
}

impl Path {
    /// Number of tokens.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The node that it ends on, and how many of its tokens belong to it.
    fn end(&self) -> (u32, u32) {
        self.steps.last().copied().unwrap_or((ROOT, 0))
    }

    /// Goes on by some tokens of a node.
    fn push(&mut self, node: u32, count: usize) {
        self.steps.push((node, count as u32));
        self.len += count;
    }
}

/// No page is left, nor can one be freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// What to add to the forest.
#[derive(Clone, Copy)]
pub(super) struct Sequence<'a> {
    /// Its tokens.
    pub tokens: &'a [u32],
    /// Those from here on are computed in this pass even where they were before: their states are wanted.
    pub wanted: usize,
    /// Those before here should outlive the pass.
    pub lasting: usize,
}

/// Sequences whose keys and values are computed, or will be by the pass under way.
pub(super) struct Forest {
    nodes: Vec<Node>,
    /// Unused places in `nodes`.
    vacant: Vec<u32>,
    /// What is computed.
    known: HashMap<Place, u32>,
    /// What the pass under way computes.
    fresh: HashMap<Place, u32>,
    /// The same in the order of their rows, parents first.
    added: Vec<u32>,
    /// Pages that serve the pass under way only.
    passing: usize,
    free: Vec<usize>,
    capacity: usize,
    /// Lasting pages that answers under way stand on, and those of answers' own.
    held: usize,
    clock: u64,
}

impl Forest {
    /// An empty forest with so many lasting pages.
    pub(super) fn new(capacity: usize) -> Self {
        let root = Node { tokens: Vec::new(), page: 0, parent: ROOT, at: 0, children: 0, users: 1, used: 0, row: 0 };
        Self {
            nodes: vec![root],
            vacant: Vec::new(),
            known: HashMap::new(),
            fresh: HashMap::new(),
            added: Vec::new(),
            passing: 0,
            free: (0..capacity).rev().collect(),
            capacity,
            held: 0,
            clock: 0,
        }
    }

    /// Forgets everything; nothing may be held.
    pub(super) fn clear(&mut self) {
        debug_assert!(self.held == 0 && self.added.is_empty());
        *self = Self { clock: self.clock, ..Self::new(self.capacity) };
    }

    /// Lasting pages that no answer under way holds.
    pub(super) fn available(&self) -> usize {
        self.capacity - self.held
    }

    /// Pages of the pass under way that don't outlive it.
    pub(super) fn passing(&self) -> usize {
        self.passing
    }

    /// Begins a pass: what it adds or touches stays until it ends.
    pub(super) fn begin(&mut self) {
        debug_assert!(self.added.is_empty());
        self.clock += 1;
        self.passing = 0;
    }

    /// Keeps what is known of a sequence until the pass ends; returns how many of its tokens, at most `limit`, are known or
    /// being computed.
    pub(super) fn touch(&mut self, tokens: &[u32], limit: usize) -> usize {
        let all = self.walk(tokens, tokens.len());
        for &(node, _) in &all.steps {
            self.nodes[node as usize].used = self.clock;
        }
        self.walk(tokens, limit).len
    }

    /// The longest beginning that is in the forest; computed nodes count for tokens before `limit` only.
    pub(super) fn walk(&self, tokens: &[u32], limit: usize) -> Path {
        self.walk_over(tokens, limit, |_| true)
    }

    /// The same over those nodes that the pass under way adds on certain pages only.
    fn walk_over(&self, tokens: &[u32], limit: usize, page: impl Fn(usize) -> bool) -> Path {
        let mut path = Path::default();
        while let Some(&token) = tokens.get(path.len) {
            let (end, at) = path.end();
            let place = (end, at, token);
            let known = self.known.get(&place).filter(|_| path.len < limit).map(|&node| (node, limit.min(tokens.len())));
            let fresh = self.fresh.get(&place).filter(|&&node| page(self.nodes[node as usize].page));
            let fresh = fresh.map(|&node| (node, tokens.len()));
            let shared = |(node, end): (u32, usize)| (shared(&self.nodes[node as usize].tokens, &tokens[path.len..end]), node);
            let Some((count, node)) = fresh.into_iter().chain(known).map(shared).max_by_key(|(count, _)| *count) else { break };
            path.push(node, count);
        }
        path
    }

    /// Adds a sequence to the pass under way. What is neither known nor added before becomes one block of it.
    ///
    /// What should last serves this pass only where no page can be freed for it, or where it follows on what does.
    pub(super) fn insert(&mut self, sequence: Sequence<'_>, pass: &mut Pass) -> Path {
        self.touch(sequence.tokens, 0);
        let path = self.walk(sequence.tokens, sequence.wanted);
        let lasting = self.worth(&path, sequence).saturating_sub(path.len);
        let grounded = self.nodes[path.end().0 as usize].page < PASSING;
        let lasting = if grounded && self.make_room(lasting.div_ceil(PAGE)).is_ok() { lasting } else { 0 };
        self.extend(path, sequence.tokens, lasting, pass)
    }

    /// The same for a sequence all of whose tokens have to last.
    pub(super) fn insert_lasting(&mut self, sequence: Sequence<'_>, pass: &mut Pass) -> Result<Path, Full> {
        self.touch(sequence.tokens, 0);
        let path = self.walk_over(sequence.tokens, sequence.wanted, |page| page < PASSING);
        let lasting = self.worth(&path, sequence).saturating_sub(path.len);
        self.make_room(lasting.div_ceil(PAGE))?;
        Ok(self.extend(path, sequence.tokens, lasting, pass))
    }

    /// Up to where new tokens should last: not where they are known already and computed for their states alone.
    fn worth(&self, path: &Path, sequence: Sequence<'_>) -> usize {
        let Some(&token) = sequence.tokens.get(path.len) else { return 0 };
        let (node, at) = path.end();
        let inside = self.nodes[node as usize].tokens.get(at as usize) == Some(&token);
        if inside || self.known.contains_key(&(node, at, token)) { 0 } else { sequence.lasting }
    }

    /// Lays out the rest of a sequence, its first `lasting` tokens on lasting pages, which are there.
    fn extend(&mut self, mut path: Path, tokens: &[u32], lasting: usize, pass: &mut Pass) -> Path {
        let (start, first) = (path.len, pass.tokens.len());
        let last = start + lasting;
        while path.len < tokens.len() {
            let position = path.len;
            let keep = position < last;
            let end = (position + PAGE).min(if keep { last } else { tokens.len() });
            let page = if keep {
                self.free.pop().expect("room was made for them")
            } else {
                self.passing += 1;
                PASSING + self.passing - 1
            };
            let row = first + position - start;
            pass.writes.push(Write { page, lane: 0, row, count: end - position });
            let (parent, at) = path.end();
            let node = Node {
                tokens: tokens[position..end].to_vec(),
                page,
                parent,
                at,
                children: 0,
                users: 0,
                used: self.clock,
                row: row as u32,
            };
            let id = self.place(node);
            self.fresh.insert((parent, at, tokens[position]), id);
            self.added.push(id);
            path.push(id, end - position);
        }
        if path.len > start {
            pass.tokens.extend_from_slice(&tokens[start..]);
            pass.positions.extend(start as u32..tokens.len() as u32);
            pass.blocks.push(Block { row: first, rows: tokens.len() - start, start, pieces: self.pieces(&path) });
        }
        path
    }

    /// Puts a node where there is room.
    fn place(&mut self, node: Node) -> u32 {
        self.nodes[node.parent as usize].children += 1;
        if let Some(id) = self.vacant.pop() {
            self.nodes[id as usize] = node;
            return id;
        }
        self.nodes.push(node);
        self.nodes.len() as u32 - 1
    }

    /// The keys of a sequence, from position 0 on.
    pub(super) fn pieces(&self, path: &Path) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for &(node, count) in &path.steps {
            append(&mut pieces, self.nodes[node as usize].page, count as usize);
        }
        pieces
    }

    /// The rows of the last tokens of a sequence that the pass under way computes, the last one first.
    pub(super) fn rows<'a>(&'a self, path: &'a Path) -> impl Iterator<Item = u32> + 'a {
        path.steps.iter().rev().flat_map(|&(node, count)| {
            let row = self.nodes[node as usize].row;
            (row..row + count).rev()
        })
    }

    /// Ends the pass: what it computed is known from now on where it lasts, and forgotten where it doesn't or `computed` is
    /// false.
    pub(super) fn end(&mut self, computed: bool) {
        self.fresh.clear();
        for id in std::mem::take(&mut self.added).into_iter().rev() {
            let node = &self.nodes[id as usize];
            if computed && node.page < PASSING {
                let first = *node.tokens.first().expect("a node has tokens");
                self.known.insert((node.parent, node.at, first), id);
            } else {
                self.remove(id);
            }
        }
    }

    /// Takes a node without children out.
    fn remove(&mut self, id: u32) {
        let node = &mut self.nodes[id as usize];
        let (parent, page) = (node.parent, node.page);
        node.tokens = Vec::new();
        self.nodes[parent as usize].children -= 1;
        if page < PASSING {
            self.free.push(page);
        }
        self.vacant.push(id);
    }

    /// Sees to it that so many pages are free: what was not used for longest goes, from the ends of sequences on. Nothing
    /// goes that the pass under way touched or an answer under way stands on.
    fn make_room(&mut self, pages: usize) -> Result<(), Full> {
        if pages <= self.free.len() {
            return Ok(());
        }
        let loose = |node: &Node| node.children == 0 && node.users == 0 && node.used < self.clock;
        let ids = self.known.values().copied();
        let loose = ids.map(|id| (id, &self.nodes[id as usize])).filter(|(_, node)| loose(node));
        let mut oldest: BinaryHeap<_> = loose.map(|(id, node)| Reverse((node.used, id))).collect();
        // More than is asked for, so that this isn't done page by page.
        let goal = pages.max(self.capacity / 16);
        while self.free.len() < goal {
            let Some(Reverse((_, id))) = oldest.pop() else { break };
            let node = &self.nodes[id as usize];
            let (parent, place) = (node.parent, (node.parent, node.at, node.tokens[0]));
            self.known.remove(&place);
            self.remove(id);
            let above = &self.nodes[parent as usize];
            if above.children == 0 && above.users == 0 && above.used < self.clock {
                oldest.push(Reverse((above.used, parent)));
            }
        }
        if pages <= self.free.len() { Ok(()) } else { Err(Full) }
    }

    /// Holds a sequence that is computed until it is let go.
    pub(super) fn hold(&mut self, path: &Path) {
        for &(node, _) in &path.steps {
            let node = &mut self.nodes[node as usize];
            self.held += usize::from(node.users == 0);
            node.users += 1;
        }
    }

    /// Lets a sequence go.
    pub(super) fn release(&mut self, path: &Path) {
        for &(node, _) in &path.steps {
            let node = &mut self.nodes[node as usize];
            node.users -= 1;
            self.held -= usize::from(node.users == 0);
        }
    }

    /// A lasting page of an answer's own.
    pub(super) fn take(&mut self) -> Result<usize, Full> {
        self.make_room(1)?;
        self.held += 1;
        Ok(self.free.pop().expect("room was made for it"))
    }

    /// Gives pages of an answer's own back.
    pub(super) fn give(&mut self, pages: &mut Vec<usize>) {
        self.held -= pages.len();
        self.free.append(pages);
    }
}

/// Goes on by `count` positions of a page, in one piece with the page before where that is full and its neighbour.
pub(super) fn append(pieces: &mut Vec<Piece>, page: usize, count: usize) {
    match pieces.last_mut() {
        Some(last) if last.len.is_multiple_of(PAGE) && last.page + last.len / PAGE == page => last.len += count,
        _ => pieces.push(Piece { page, len: count }),
    }
}

/// Length of the common beginning.
pub(super) fn shared(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(tokens: &[u32], lasting: usize) -> Sequence<'_> {
        Sequence { tokens, wanted: tokens.len() - 1, lasting }
    }

    #[test]
    fn shared_beginnings_are_laid_out_once_and_each_end_sees_its_own_past() {
        let mut forest = Forest::new(8);
        let long: Vec<u32> = (0..40).collect();
        let mut fork = long[..20].to_vec();
        fork.extend([100, 101]);
        forest.begin();
        let mut pass = Pass::default();
        for tokens in [&long[..], &fork[..], &long[..10]] {
            let path = forest.insert(sequence(tokens, 20.min(tokens.len())), &mut pass);
            let seen: usize = forest.pieces(&path).iter().map(|piece| piece.len).sum();
            assert_eq!(seen, tokens.len());
            let mut read: Vec<u32> = forest.rows(&path).map(|row| pass.tokens[row as usize]).collect();
            read.reverse();
            assert_eq!(read, tokens);
        }
        pass.close();
        assert_eq!(pass.tokens.len(), 42, "the trunk and two branches");
        assert_eq!(pass.blocks.len(), 2, "the last sequence adds nothing");
        assert_eq!(pass.writes.iter().map(|write| write.count).sum::<usize>(), 42);
        assert!(pass.writes.windows(2).all(|pair| pair[0].page < pair[1].page));
        assert_eq!(forest.passing(), 3, "what stands behind the first twenty tokens");
        forest.end(true);
        assert_eq!(forest.walk(&fork, 40).len(), 20, "what was to last is known");
    }

    #[test]
    fn the_longest_unused_ends_go_first_and_what_is_held_or_touched_stays() {
        let mut forest = Forest::new(4);
        let sequences: [Vec<u32>; 5] = [0, 100, 200, 300, 400].map(|first| (first..first + 16).collect());
        let add = |forest: &mut Forest, index: usize| {
            forest.begin();
            let path = forest.insert_lasting(sequence(&sequences[index], 16), &mut Pass::default());
            forest.end(true);
            path
        };
        let known =
            |forest: &Forest| -> Vec<usize> { (0..5).filter(|&index| forest.walk(&sequences[index], 16).len() == 16).collect() };
        for index in 0..4 {
            add(&mut forest, index).expect("there is room");
        }
        forest.hold(&forest.walk(&sequences[0], 16));
        forest.begin();
        forest.touch(&sequences[1], 0);
        forest.end(true);
        add(&mut forest, 4).expect("one goes");
        assert_eq!(known(&forest), [0, 1, 3, 4]);
        forest.begin();
        let own: Vec<usize> = (0..3).map(|_| forest.take().expect("the others go")).collect();
        assert_eq!(known(&forest), [0]);
        assert_eq!(forest.available(), 0);
        forest.end(true);
        assert_eq!(add(&mut forest, 2).map(|_| ()), Err(Full));
        forest.give(&mut own.clone());
        forest.release(&forest.walk(&sequences[0], 16));
        assert_eq!(forest.available(), 4);
        add(&mut forest, 2).expect("there is room again");
    }
}
