//! Token sequences that share their beginnings, as a forest: every shared token is laid out, and computed, once.

use std::collections::HashMap;

use super::cache::{PAGE, Piece, Write};

/// The parent of a first token.
const NONE: u32 = u32::MAX;

/// A token after the tokens of its ancestors.
struct Node {
    token: u32,
    parent: u32,
    position: u32,
    children: u32,
}

/// A forest that grows by whole sequences.
#[derive(Default)]
pub(super) struct Forest {
    nodes: Vec<Node>,
    by_token: HashMap<(u32, u32), u32>,
}

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

/// A forest laid out for the decoder.
pub(super) struct Layout {
    /// The pass that computes it; `wanted` is empty.
    pub pass: Pass,
    /// Pages that its keys take.
    pub pages: usize,
    rows: Vec<u32>,
    segments: Vec<(u32, u32)>,
}

impl Forest {
    /// Number of different tokens so far.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Adds a sequence and returns the node of each of its tokens.
    pub(super) fn insert(&mut self, tokens: &[u32]) -> Vec<u32> {
        let mut parent = NONE;
        let mut path = Vec::with_capacity(tokens.len());
        for (position, &token) in tokens.iter().enumerate() {
            let next = self.nodes.len() as u32;
            let node = *self.by_token.entry((parent, token)).or_insert(next);
            if node == next {
                self.nodes.push(Node { token, parent, position: position as u32, children: 0 });
                if parent != NONE {
                    self.nodes[parent as usize].children += 1;
                }
            }
            path.push(node);
            parent = node;
        }
        path
    }

    /// Lays unbranched runs side by side and gives each run pages of its own, from page `first` on.
    pub(super) fn layout(&self, first: usize) -> Layout {
        let mut segments = Vec::with_capacity(self.nodes.len());
        let mut runs: Vec<(u32, usize, usize)> = Vec::new();
        for node in &self.nodes {
            let parent = (node.parent != NONE).then(|| &self.nodes[node.parent as usize]);
            if parent.is_some_and(|parent| parent.children == 1) {
                let (run, offset): (u32, u32) = segments[node.parent as usize];
                segments.push((run, offset + 1));
                runs[run as usize].2 += 1;
            } else {
                segments.push((runs.len() as u32, 0));
                runs.push((node.parent, node.position as usize, 1));
            }
        }
        let mut pass = Pass::default();
        let mut pages = first;
        for &(parent, start, rows) in &runs {
            let row = pass.blocks.last().map_or(0, |b: &Block| b.row + b.rows);
            let mut pieces =
                if parent == NONE { Vec::new() } else { pass.blocks[segments[parent as usize].0 as usize].pieces.clone() };
            pieces.push(Piece { page: pages, len: rows });
            for first in (0..rows).step_by(PAGE) {
                pass.writes.push(Write { page: pages, lane: 0, row: row + first, count: PAGE.min(rows - first) });
                pages += 1;
            }
            pass.blocks.push(Block { row, rows, start, pieces });
        }
        let rows: Vec<u32> = segments.iter().map(|&(run, offset)| pass.blocks[run as usize].row as u32 + offset).collect();
        pass.tokens = vec![0; self.nodes.len()];
        pass.positions = vec![0; self.nodes.len()];
        for (node, &row) in self.nodes.iter().zip(&rows) {
            pass.tokens[row as usize] = node.token;
            pass.positions[row as usize] = node.position;
        }
        Layout { pass, pages: pages - first, rows, segments }
    }
}

impl Layout {
    /// The row of a node.
    pub(super) fn row(&self, node: u32) -> u32 {
        self.rows[node as usize]
    }

    /// The keys of a node and its ancestors, from position 0 on.
    pub(super) fn pieces(&self, node: u32) -> Vec<Piece> {
        let (run, offset) = self.segments[node as usize];
        let mut pieces = self.pass.blocks[run as usize].pieces.clone();
        if let Some(own) = pieces.last_mut() {
            own.len = offset as usize + 1;
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_beginnings_are_laid_out_once_and_each_end_sees_its_own_past() {
        let mut forest = Forest::default();
        let long: Vec<u32> = (0..40).collect();
        let a = forest.insert(&long);
        let mut fork = long[..20].to_vec();
        fork.extend([100, 101]);
        let b = forest.insert(&fork);
        let c = forest.insert(&long[..10]);
        assert_eq!(forest.len(), 42);
        let layout = forest.layout(0);
        assert_eq!(layout.pass.tokens.len(), 42);
        assert_eq!(layout.pass.blocks.len(), 3, "the trunk and two branches");
        for (path, tokens) in [(a, &long[..]), (b, &fork[..]), (c, &long[..10])] {
            let end = *path.last().expect("not empty");
            let seen: usize = layout.pieces(end).iter().map(|piece| piece.len).sum();
            assert_eq!(seen, tokens.len());
            let read: Vec<u32> = path.iter().map(|&node| layout.pass.tokens[layout.row(node) as usize]).collect();
            assert_eq!(read, tokens);
        }
        let written: usize = layout.pass.writes.iter().map(|write| write.count).sum();
        assert_eq!(written, 42);
        assert!(layout.pass.writes.windows(2).all(|pair| pair[0].page < pair[1].page));
    }
}
