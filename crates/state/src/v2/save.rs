//! The JSON of a snapshot, equal to etcd's to the byte.

use super::gotime;
use super::history::{CAPACITY, History};
use super::json_out::Writer;
use super::node::Node;
use super::path::Key;
use super::view::TreeView;

/// The format of the JSON.
const VERSION: u64 = 2;

impl TreeView {
    /// The JSON of a snapshot.
    pub fn to_json(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.raw("{\"Root\":");
        self.write_nodes(&mut w);
        w.raw(",\"WatcherHub\":{\"EventHistory\":");
        self.history.write(&mut w);
        w.raw("},\"CurrentIndex\":");
        w.number(self.index);
        w.raw(",\"Stats\":");
        self.stats.write(&mut w, self.watchers);
        w.raw(",\"CurrentVersion\":");
        w.number(VERSION);
        w.raw("}");
        w.into_bytes()
    }

    // The map is in the order of a walk: a node's depth tells what it closes.
    fn write_nodes(&self, w: &mut Writer) {
        let mut open = 0;
        for (key, node) in &self.nodes {
            let depth = key.depth();
            while open > depth {
                w.raw("}}");
                open -= 1;
            }
            if depth > 0 {
                w.name(&escaped(&key.name()));
            }
            write_head(w, key, node);
            if node.is_directory() {
                w.raw("{");
                open += 1;
            } else {
                w.raw("null}");
            }
        }
        for _ in 0..open {
            w.raw("}}");
        }
    }
}

fn write_head(w: &mut Writer, key: &Key, node: &Node) {
    w.raw("{\"Path\":");
    w.string(&key.path());
    w.raw(",\"CreatedIndex\":");
    w.number(node.created);
    w.raw(",\"ModifiedIndex\":");
    w.number(node.modified);
    w.raw(",\"ExpireTime\":");
    w.string(&node.expires.map_or_else(|| gotime::ZERO.to_owned(), gotime::format));
    w.raw(",\"Value\":");
    w.string(node.value());
    w.raw(",\"Children\":");
}

// A name as it stands between the quotes.
fn escaped(name: &str) -> String {
    let mut w = Writer::default();
    w.string(name);
    let quoted = String::from_utf8(w.into_bytes()).expect("the writer writes text");
    quoted[1..quoted.len() - 1].to_owned()
}

impl History {
    fn write(&self, w: &mut Writer) {
        let size = self.events.len();
        w.raw("{\"Queue\":{\"Events\":[");
        for place in 0..CAPACITY {
            if place > 0 {
                w.raw(",");
            }
            let from_front = (place + CAPACITY - self.front) % CAPACITY;
            match self.events.get(from_front) {
                Some(event) => event.write(w, "", None, true),
                None => w.raw("null"),
            }
        }
        let back = (self.front + size) % CAPACITY;
        w.raw("],\"Size\":");
        w.number(size);
        w.raw(",\"Front\":");
        w.number(self.front);
        w.raw(",\"Back\":");
        w.number(back);
        w.raw(",\"Capacity\":");
        w.number(CAPACITY);
        w.raw("},\"StartIndex\":");
        w.number(self.start_index);
        w.raw(",\"LastIndex\":");
        w.number(self.last_index);
        w.raw("}");
    }
}
