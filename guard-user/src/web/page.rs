//! The files of the page. They are part of the program, and load nothing from anywhere else.

/// A file of the page.
pub(super) struct PageFile {
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    pub(super) text: &'static str,
}

/// What answers without a file are.
pub(super) const TEXT: &str = "text/plain; charset=utf-8";
/// Where the page gets its figures.
pub(super) const EVENTS: &str = "events";

const FILES: &[PageFile] = &[
    PageFile {
        name: "",
        kind: "text/html; charset=utf-8",
        text: include_str!("page/page.html"),
    },
    PageFile {
        name: "page.css",
        kind: "text/css; charset=utf-8",
        text: include_str!("page/page.css"),
    },
    PageFile {
        name: "page.js",
        kind: "text/javascript; charset=utf-8",
        text: include_str!("page/page.js"),
    },
    PageFile {
        name: "chart.js",
        kind: "text/javascript; charset=utf-8",
        text: include_str!("page/chart.js"),
    },
    PageFile {
        name: "icon.svg",
        kind: "image/svg+xml",
        text: include_str!("page/icon.svg"),
    },
];

/// The file of this name, letter by letter.
pub(super) fn file(name: &str) -> Option<&'static PageFile> {
    FILES.iter().find(|file| file.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_no_other_host_and_makes_no_markup_of_text() {
        for file in FILES {
            // The name of a language, which nobody fetches.
            let text = file.text.replace("http://www.w3.org/2000/svg", "");
            for wrong in [
                "http:",
                "https:",
                "//cdn",
                "innerHTML",
                "outerHTML",
                "insertAdjacent",
                "document.write",
                "eval(",
                "onclick",
                "style=",
                "<style",
                "@import",
                "url(",
            ] {
                assert!(!text.contains(wrong), "{}: {wrong}", file.name);
            }
        }
    }

    #[test]
    fn what_the_page_loads_is_there() {
        let html = FILES[0].text;
        let names = html.split(['"', '\'']).skip(1).step_by(2);
        let files: Vec<&str> = names.filter(|name| name.contains('.')).collect();
        assert!(files.len() >= 3, "{files:?}");
        for name in files.iter().filter(|name| !name.contains(' ')) {
            assert!(file(name).is_some(), "{name}");
        }
    }
}
