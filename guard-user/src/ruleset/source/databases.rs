//! Sets from databases, while a policy is read.

use std::{path::Path, sync::Arc};

use ipnetwork::IpNetwork;

use super::Reading;
use crate::{
    bans::feed::Fingerprint,
    ruleset::{
        mmdb::{self, DatabaseError, DatabaseSet, Extract, Selector, cache},
        schema::Located,
        sets,
    },
    text::{files::Purpose, value::BadValue},
};

impl Reading<'_> {
    /// What `selector` asks of the database that `file` names for the set `name`.
    pub(super) fn set_from_database(
        &mut self,
        file: &Arc<std::path::PathBuf>,
        name: &str,
        named: &Located<String>,
        selector: &Selector,
    ) -> Option<Vec<IpNetwork>> {
        let folder = file.parent().unwrap_or(Path::new(""));
        let path = folder.join(&named.value);
        let (problem, help) = match self.extract(&path, selector) {
            Ok(kept) => return Some(self.note_extract(name, &path, selector, kept)),
            Err(unusable) => unusable,
        };
        let bad = BadValue::new(format!("set \"{name}\": {} {problem}", path.display()));
        self.error(file, named.at, bad.help(help));
        None
    }

    fn extract(
        &mut self,
        path: &Path,
        selector: &Selector,
    ) -> Result<cache::Kept, (String, &'static str)> {
        const FETCH: &str = "guard fetches no database: put the file there and let its publisher's program renew it, or remove the set";
        let overlay = &self.source.overlay;
        if let Some(text) = overlay.text(&mmdb::extract_path(path, selector)) {
            // Of a copy that guard wrote; it reads like a set file.
            let name = Arc::new(path.to_owned());
            let networks = sets::read_file(&name, text.as_bytes(), &mut self.problems);
            let networks = networks.ok_or(("is not what was kept of it".to_owned(), FETCH))?;
            return Ok(cache::Kept {
                extract: Extract::from_text(text, networks),
                text: text.into(),
            });
        }
        // Of before the file is read: a change meanwhile is seen the next time.
        let fingerprint = Fingerprint::of(path).ok();
        let is_known = |fingerprint| cache::find(path, fingerprint, selector);
        if let Some(kept) = fingerprint.and_then(is_known) {
            return Ok(kept);
        }
        let bytes = match overlay.read(path, Purpose::Database) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Err(("does not exist".to_owned(), FETCH)),
            Err(unreadable) => return Err((unreadable.to_string(), FETCH)),
        };
        let extract = mmdb::extract(&bytes, selector)
            .map_err(|error: DatabaseError| (error.to_string(), error.help()))?;
        let kept = cache::Kept {
            text: extract.to_text().into(),
            extract,
        };
        if let Some(fingerprint) = fingerprint {
            cache::keep(path, fingerprint, selector, kept.clone());
        }
        Ok(kept)
    }

    /// The digest of a policy has what it takes out of a database, and not the rest of it.
    fn note_extract(
        &mut self,
        name: &str,
        path: &Path,
        selector: &Selector,
        kept: cache::Kept,
    ) -> Vec<IpNetwork> {
        let known_as = mmdb::extract_path(path, selector);
        let below = known_as.strip_prefix(&self.source.etc).unwrap_or(&known_as);
        self.digest.add(below.as_os_str().as_encoded_bytes());
        self.digest.add(kept.text.as_bytes());
        if !self.files.iter().any(|file| file == path) {
            self.files.push(path.to_owned());
        }
        // The same in a copy of the policy, which is read from another folder.
        let file = path.strip_prefix(&self.source.etc).unwrap_or(path);
        let set = DatabaseSet::new(name, file, selector, &kept.extract);
        self.databases.push(set);
        let is_known = self.extracts.iter().any(|(known, _)| *known == known_as);
        if !is_known {
            self.extracts.push((known_as, kept.text));
        }
        kept.extract.networks.to_vec()
    }
}
