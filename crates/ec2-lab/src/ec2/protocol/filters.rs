//! `Filter.N`, ids and pages: the ways in which Describe calls narrow their answers.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::ec2::protocol::error::ApiError;
use crate::ec2::protocol::query::{Params, wildcard};

/// EC2's limit of values over all filters of a call.
const MAX_FILTER_VALUES: usize = 200;

/// The filters of one call: all must match, each by any of its values.
pub(crate) struct Filters(Vec<(String, Vec<String>)>);

impl Filters {
    /// Parses `Filter.N.Name` and `Filter.N.Value.M`.
    ///
    /// # Errors
    /// A filter that this call does not support, or more values than EC2 accepts. Every call supports filters on
    /// tags.
    pub(crate) fn parse(params: &Params, known: &[&str]) -> Result<Self, ApiError> {
        let filters: Vec<_> = params
            .structs("Filter")
            .into_iter()
            .map(|f| {
                let values = f.list("Value").into_iter().map(str::to_owned).collect();
                (f.text("Name").unwrap_or_default(), values)
            })
            .collect();
        for (name, _) in &filters {
            let on_tags = name == "tag-key" || name.starts_with("tag:");
            if !on_tags && !known.contains(&name.as_str()) {
                return Err(ApiError::new(
                    "InvalidParameterValue",
                    format!("The filter '{name}' is invalid"),
                ));
            }
        }
        let values: usize = filters
            .iter()
            .map(|(_, v): &(_, Vec<String>)| v.len())
            .sum();
        if values > MAX_FILTER_VALUES {
            return Err(ApiError::new(
                "FilterLimitExceeded",
                format!(
                    "The maximum number of filter values specified on a single call is {MAX_FILTER_VALUES}"
                ),
            ));
        }
        Ok(Self(filters))
    }

    /// Returns whether a resource passes, given its values for a filter's name.
    pub(crate) fn pass(
        &self,
        tags: &BTreeMap<String, String>,
        values_of: impl Fn(&str) -> Vec<String>,
    ) -> bool {
        self.0.iter().all(|(name, wanted)| {
            let has = if name == "tag-key" {
                tags.keys().cloned().collect()
            } else if let Some(key) = name.strip_prefix("tag:") {
                tags.get(key).cloned().into_iter().collect()
            } else {
                values_of(name)
            };
            has.iter().any(|h| wanted.iter().any(|w| wildcard(w, h)))
        })
    }
}

/// EC2's name of a kind of id in error messages.
pub(crate) struct IdKind {
    pub(crate) prefix: &'static str,
    pub(crate) code: &'static str,
    pub(crate) noun: &'static str,
}

impl IdKind {
    pub(crate) fn not_found(&self, ids: &[&str]) -> ApiError {
        let (noun, list) = (self.noun, ids.join(", "));
        let message = if ids.len() == 1 {
            format!("The {noun} '{list}' does not exist")
        } else {
            format!("The {noun}s '{list}' do not exist")
        };
        ApiError::new(format!("{}.NotFound", self.code), message)
    }

    /// Checks the syntax of ids and that all of them exist; one unknown id fails all.
    pub(crate) fn check<'a>(
        &self,
        ids: impl IntoIterator<Item = &'a str>,
        known: impl Fn(&str) -> bool,
    ) -> Result<(), ApiError> {
        let mut unknown = Vec::new();
        for id in ids {
            let hex = id.strip_prefix(self.prefix).unwrap_or_default();
            if !matches!(hex.len(), 8 | 17) || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(ApiError::new(
                    format!("{}.Malformed", self.code),
                    format!("Invalid id: \"{id}\" (expecting \"{}...\")", self.prefix),
                ));
            }
            if !known(id) {
                unknown.push(id);
            }
        }
        if unknown.is_empty() {
            Ok(())
        } else {
            Err(self.not_found(&unknown))
        }
    }
}

/// Pages a sorted list by `MaxResults` and `NextToken`; returns the page and the next token.
pub(crate) fn page<T>(
    params: &Params,
    items: Vec<T>,
    key: impl Fn(&T) -> &str,
) -> Result<(Vec<T>, Option<String>), ApiError> {
    let after = match params.get("NextToken") {
        None => String::new(),
        Some(token) => URL_SAFE_NO_PAD
            .decode(token)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(|| ApiError::new("InvalidNextToken", "The token is invalid."))?,
    };
    let mut rest: Vec<T> = items
        .into_iter()
        .filter(|i| key(i) > after.as_str())
        .collect();
    rest.sort_by(|a, b| key(a).cmp(key(b)));
    let Some(max) = params.number::<usize>("MaxResults")? else {
        return Ok((rest, None));
    };
    if !(5..=1000).contains(&max) {
        return Err(ApiError::new(
            "InvalidParameterValue",
            format!(
                "Value ( {max} ) for parameter maxResults is invalid. Expecting a value between 5 and 1000."
            ),
        ));
    }
    let more = rest.len() > max;
    rest.truncate(max);
    let token = rest
        .last()
        .filter(|_| more)
        .map(|last| URL_SAFE_NO_PAD.encode(key(last)));
    Ok((rest, token))
}
