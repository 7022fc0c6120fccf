//! Under which of its URLs a peer is tried.

use crate::wire::PeerUrl;

/// The URLs of a peer, of which one is in use until it fails.
#[derive(Clone, Debug, Default)]
pub(crate) struct Urls {
    urls: Vec<PeerUrl>,
    picked: usize,
}

impl Urls {
    /// Takes the URLs that can be read; the others are logged.
    pub fn new(id: u64, texts: &[String]) -> Urls {
        let mut urls = Vec::with_capacity(texts.len());
        for text in texts {
            match PeerUrl::parse(text) {
                Ok(url) => urls.push(url),
                Err(error) => tracing::warn!("remote-peer-id" = %format!("{id:x}"), %error, "peer URL left out"),
            }
        }
        Urls { urls, picked: 0 }
    }

    /// Takes other URLs; true where they differ.
    pub fn update(&mut self, other: Urls) -> bool {
        let differ = self.urls != other.urls;
        if differ {
            *self = other;
        }
        differ
    }

    /// The URL in use.
    pub fn pick(&self) -> Option<PeerUrl> {
        self.urls.get(self.picked).cloned()
    }

    /// This URL has failed: the next is in use, unless that has happened already.
    pub fn failed(&mut self, url: &PeerUrl) {
        if self.urls.get(self.picked) == Some(url) {
            self.picked = (self.picked + 1) % self.urls.len();
        }
    }

    /// All of them, the one in use first.
    pub fn all(&self) -> Vec<PeerUrl> {
        let (before, from) = self.urls.split_at(self.picked.min(self.urls.len()));
        from.iter().chain(before).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_fails_gives_way_to_the_next() {
        let texts: Vec<String> = ["http://a:1", "nonsense", "http://b:1"].map(str::to_owned).to_vec();
        let mut urls = Urls::new(1, &texts);
        let first = urls.pick().unwrap();
        urls.failed(&first);
        urls.failed(&first);
        assert_eq!(urls.pick().unwrap().authority, "b:1");
        assert_eq!(urls.all().iter().map(|url| url.authority.as_str()).collect::<Vec<_>>(), ["b:1", "a:1"]);
        assert!(!urls.update(Urls::new(1, &texts)));
        assert!(urls.update(Urls::new(1, &texts[..1])));
        assert_eq!(urls.pick(), Some(first.clone()));
        urls.failed(&first);
        assert_eq!(urls.pick(), Some(first));
        assert_eq!(Urls::new(1, &[]).pick(), None);
    }
}
