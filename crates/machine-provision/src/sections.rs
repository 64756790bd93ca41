//! Texts that the script sends with a question: `@NAME` begins a text, `=LINE` is one of its lines.

/// One text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Section {
    /// Its name: `unit /usr/lib/systemd/system/docker.service`.
    pub(crate) name: String,
    /// Its lines, without the last line end.
    pub(crate) text: String,
}

/// Parses the script's output.
pub(crate) fn sections(lines: &[String]) -> Vec<Section> {
    let mut all: Vec<Section> = Vec::new();
    let mut is_first = true;
    for line in lines {
        match (
            line.strip_prefix('@'),
            line.strip_prefix('='),
            all.last_mut(),
        ) {
            (Some(name), _, _) => {
                is_first = true;
                all.push(Section {
                    name: name.to_owned(),
                    text: String::new(),
                });
            }
            (None, Some(line), Some(section)) => {
                if !is_first {
                    section.text.push('\n');
                }
                is_first = false;
                section.text.push_str(line);
            }
            _ => {}
        }
    }
    all
}

/// Returns the text of the given name.
pub(crate) fn find<'a>(sections: &'a [Section], name: &str) -> Option<&'a str> {
    let section = sections.iter().find(|section| section.name == name)?;
    Some(&section.text)
}
