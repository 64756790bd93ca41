//! Writes the XML of EC2's answers.
//!
//! Owns escaping and nesting only; every resource file of the endpoint calls it.

use std::fmt::Display;

/// XML text under construction.
#[derive(Debug, Default)]
pub(crate) struct Xml(String);

impl Xml {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Makes an answer that contains only `<return>true</return>`.
    pub(crate) fn done() -> Self {
        let mut xml = Self::new();
        xml.leaf("return", true);
        xml
    }

    /// Adds `<name>value</name>`.
    pub(crate) fn leaf(&mut self, name: &str, value: impl Display) {
        self.0.push('<');
        self.0.push_str(name);
        self.0.push('>');
        escape(&value.to_string(), &mut self.0);
        self.close(name);
    }

    /// Adds bare text, for lists whose items are plain values.
    pub(crate) fn text(&mut self, value: impl Display) {
        escape(&value.to_string(), &mut self.0);
    }

    /// Adds the element if there is a value: EC2 omits absent values.
    pub(crate) fn leaf_if(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.leaf(name, value);
        }
    }

    /// Adds `<name>…</name>` around the output of `fill`. `name` may include attributes.
    pub(crate) fn node(&mut self, name: &str, fill: impl FnOnce(&mut Self)) {
        self.0.push('<');
        self.0.push_str(name);
        self.0.push('>');
        fill(self);
        self.close(name.split(' ').next().unwrap_or(name));
    }

    /// Adds one of EC2's lists: `<name><item>…</item>…</name>`, present when empty.
    pub(crate) fn list<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut fill: impl FnMut(&mut Self, T),
    ) {
        self.node(name, |xml| {
            for item in items {
                xml.node("item", |xml| fill(xml, item));
            }
        });
    }

    /// Appends the output of another writer.
    pub(crate) fn append(&mut self, other: &Self) {
        self.0.push_str(&other.0);
    }

    pub(crate) fn into_document(self) -> String {
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}", self.0)
    }

    fn close(&mut self, name: &str) {
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
    }
}

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#13;"),
            c if c.is_control() && c != '\n' && c != '\t' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_lists_are_present_when_empty() {
        let mut xml = Xml::new();
        xml.node("a x=\"1\"", |xml| {
            xml.leaf("b", "<&>\u{1}");
            xml.list("c", Vec::<u8>::new(), |_, _| ());
        });
        assert_eq!(xml.0, "<a x=\"1\"><b>&lt;&amp;&gt;\u{fffd}</b><c></c></a>");
    }
}
