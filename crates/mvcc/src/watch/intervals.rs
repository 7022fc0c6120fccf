//! Ranges of keys, found by a key inside them: a treap by start, in which every node knows the largest end below it.
//!
//! A key is found in O(log n + ranges found). Equal ranges share one node.

use bytes::Bytes;

/// The end of a range, which is not part of it; `None` = there is no end.
pub(super) type End = Option<Bytes>;

const NIL: u32 = u32::MAX;

/// Numbers of watchers by the range that they watch.
#[derive(Debug)]
pub(super) struct Intervals {
    nodes: Vec<Node>,
    free: Vec<u32>,
    root: u32,
    /// State of the generator of priorities. They only shape the tree.
    random: u64,
}

#[derive(Debug)]
struct Node {
    start: Bytes,
    end: End,
    /// The largest end in this subtree.
    end_max: End,
    priority: u32,
    left: u32,
    right: u32,
    members: Vec<u32>,
}

impl Default for Intervals {
    fn default() -> Intervals {
        Intervals { nodes: Vec::new(), free: Vec::new(), root: NIL, random: 0x9e37_79b9_7f4a_7c15 }
    }
}

impl Intervals {
    /// Adds a member and gives its place among those of the same range.
    pub(super) fn insert(&mut self, start: &Bytes, end: &End, member: u32) -> u32 {
        if let Some(at) = self.find(start, end) {
            let members = &mut self.node_mut(at).members;
            members.push(member);
            return members.len() as u32 - 1;
        }
        let fresh = self.allocate(start.clone(), end.clone(), member);
        self.root = self.insert_node(self.root, fresh);
        0
    }

    /// Removes the member at a place. Gives the one that took the place, if any.
    pub(super) fn remove(&mut self, start: &Bytes, end: &End, place: u32) -> Option<u32> {
        let at = self.find(start, end)?;
        let members = &mut self.node_mut(at).members;
        members.swap_remove(place as usize);
        let moved = members.get(place as usize).copied();
        if members.is_empty() {
            self.root = self.remove_node(self.root, at);
            self.node_mut(at).members = Vec::new();
            self.free.push(at);
        }
        moved
    }

    /// Adds all members whose range holds the key to `found`.
    pub(super) fn find_all(&self, key: &[u8], found: &mut Vec<u32>) {
        if self.root != NIL {
            self.visit(self.root, key, found);
        }
    }

    fn visit(&self, at: u32, key: &[u8], found: &mut Vec<u32>) {
        let node = self.node(at);
        if !is_before(key, &node.end_max) {
            return;
        }
        if node.left != NIL {
            self.visit(node.left, key, found);
        }
        if *node.start > *key {
            return;
        }
        if is_before(key, &node.end) {
            found.extend_from_slice(&node.members);
        }
        if node.right != NIL {
            self.visit(node.right, key, found);
        }
    }

    fn node(&self, at: u32) -> &Node {
        &self.nodes[at as usize]
    }

    fn node_mut(&mut self, at: u32) -> &mut Node {
        &mut self.nodes[at as usize]
    }

    fn find(&self, start: &Bytes, end: &End) -> Option<u32> {
        let mut at = self.root;
        while at != NIL {
            let node = self.node(at);
            at = match order(start, end, node) {
                std::cmp::Ordering::Less => node.left,
                std::cmp::Ordering::Greater => node.right,
                std::cmp::Ordering::Equal => return Some(at),
            };
        }
        None
    }

    fn allocate(&mut self, start: Bytes, end: End, member: u32) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let priority = (self.random >> 32) as u32;
        let node = Node { start, end_max: end.clone(), end, priority, left: NIL, right: NIL, members: vec![member] };
        match self.free.pop() {
            Some(at) => {
                self.nodes[at as usize] = node;
                at
            }
            None => {
                self.nodes.push(node);
                self.nodes.len() as u32 - 1
            }
        }
    }

    fn insert_node(&mut self, at: u32, fresh: u32) -> u32 {
        if at == NIL {
            return fresh;
        }
        if self.node(fresh).priority > self.node(at).priority {
            let (left, right) = self.split(at, fresh);
            self.node_mut(fresh).left = left;
            self.node_mut(fresh).right = right;
            self.refresh(fresh);
            return fresh;
        }
        if self.is_less(fresh, at) {
            let left = self.insert_node(self.node(at).left, fresh);
            self.node_mut(at).left = left;
        } else {
            let right = self.insert_node(self.node(at).right, fresh);
            self.node_mut(at).right = right;
        }
        self.refresh(at);
        at
    }

    /// Parts a subtree into what is before and what is after a node that is not in it.
    fn split(&mut self, at: u32, by: u32) -> (u32, u32) {
        if at == NIL {
            return (NIL, NIL);
        }
        if self.is_less(by, at) {
            let (left, right) = self.split(self.node(at).left, by);
            self.node_mut(at).left = right;
            self.refresh(at);
            (left, at)
        } else {
            let (left, right) = self.split(self.node(at).right, by);
            self.node_mut(at).right = left;
            self.refresh(at);
            (at, right)
        }
    }

    fn remove_node(&mut self, at: u32, gone: u32) -> u32 {
        if at == NIL {
            return NIL;
        }
        if at == gone {
            return self.join(self.node(at).left, self.node(at).right);
        }
        if self.is_less(gone, at) {
            let left = self.remove_node(self.node(at).left, gone);
            self.node_mut(at).left = left;
        } else {
            let right = self.remove_node(self.node(at).right, gone);
            self.node_mut(at).right = right;
        }
        self.refresh(at);
        at
    }

    fn join(&mut self, left: u32, right: u32) -> u32 {
        if left == NIL || right == NIL {
            return if left == NIL { right } else { left };
        }
        if self.node(left).priority > self.node(right).priority {
            let joined = self.join(self.node(left).right, right);
            self.node_mut(left).right = joined;
            self.refresh(left);
            left
        } else {
            let joined = self.join(left, self.node(right).left);
            self.node_mut(right).left = joined;
            self.refresh(right);
            right
        }
    }

    fn is_less(&self, a: u32, b: u32) -> bool {
        let node = self.node(a);
        order(&node.start, &node.end, self.node(b)).is_lt()
    }

    fn refresh(&mut self, at: u32) {
        let node = self.node(at);
        let mut largest = &node.end;
        for child in [node.left, node.right] {
            if child != NIL && is_later(&self.node(child).end_max, largest) {
                largest = &self.node(child).end_max;
            }
        }
        let largest = largest.clone();
        self.node_mut(at).end_max = largest;
    }
}

fn order(start: &Bytes, end: &End, node: &Node) -> std::cmp::Ordering {
    start.cmp(&node.start).then_with(|| end.cmp(&node.end))
}

fn is_before(key: &[u8], end: &End) -> bool {
    end.as_ref().is_none_or(|end| key < &end[..])
}

fn is_later(a: &End, b: &End) -> bool {
    match (a, b) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(a), Some(b)) => a > b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::prelude::*;

    /// Members with their range and place, in a list.
    #[derive(Default)]
    struct Model(Vec<(Bytes, End, u32, u32)>);

    fn depth(t: &Intervals, at: u32) -> usize {
        if at == NIL { 0 } else { 1 + depth(t, t.node(at).left).max(depth(t, t.node(at).right)) }
    }

    fn random_range(rng: &mut SmallRng) -> (Bytes, End) {
        let mut key = || {
            let len = rng.random_range(0..4);
            Bytes::from((0..len).map(|_| rng.random_range(b'a'..b'e')).collect::<Vec<u8>>())
        };
        let (a, b) = (key(), key());
        if rng.random_bool(0.1) { (a, None) } else { (a.clone().min(b.clone()), Some(a.max(b))) }
    }

    #[test]
    fn agrees_with_a_list() {
        let mut rng = SmallRng::seed_from_u64(7);
        let (mut tree, mut model) = (Intervals::default(), Model::default());
        for step in 0..4_000u32 {
            if model.0.is_empty() || rng.random_bool(if step < 2_000 { 0.55 } else { 0.45 }) {
                let (start, end) = random_range(&mut rng);
                let place = tree.insert(&start, &end, step);
                model.0.push((start, end, step, place));
            } else {
                let at = rng.random_range(0..model.0.len());
                let (start, end, _, place) = model.0.swap_remove(at);
                if let Some(moved) = tree.remove(&start, &end, place) {
                    model.0.iter_mut().find(|m| m.2 == moved).unwrap().3 = place;
                }
            }
            let (key, _) = random_range(&mut rng);
            let mut found = Vec::new();
            tree.find_all(&key, &mut found);
            found.sort_unstable();
            let holds = |m: &&(Bytes, End, u32, u32)| m.0 <= key && m.1.as_ref().is_none_or(|end| key < *end);
            let mut want: Vec<u32> = model.0.iter().filter(holds).map(|m| m.2).collect();
            want.sort_unstable();
            assert_eq!(found, want);
        }
    }

    #[test]
    fn stays_shallow_for_sorted_input() {
        let mut tree = Intervals::default();
        for i in 0..10_000u32 {
            let start = Bytes::from(format!("{i:08}"));
            let end = Some(Bytes::from(format!("{:08}", i + 1)));
            tree.insert(&start, &end, i);
        }
        assert!(depth(&tree, tree.root) < 64);
        let mut found = Vec::new();
        tree.find_all(b"00005000x", &mut found);
        assert_eq!(found, [5000]);
    }
}
