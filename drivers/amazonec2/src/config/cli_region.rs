//! The region of the AWS CLI's settings: a variable and a profile. Used if no flag gives one.

use std::path::PathBuf;

/// Name of the AWS CLI's variable, as [`CliRegion`] shows it.
pub(crate) const AWS_REGION: &str = "$AWS_REGION";

/// The region that the AWS CLI would use without a flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CliRegion {
    pub region: String,
    /// [`AWS_REGION`], or the profile, for messages.
    pub named_by: String,
}

/// Returns the region that the AWS CLI would use: of `AWS_REGION`, else of the profile in `~/.aws/config` (AWS CLI User
/// Guide, "Environment variables"). The Go binary reads neither.
pub(crate) fn cli_region() -> Option<CliRegion> {
    let text = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(region) = text("AWS_REGION") {
        return Some(CliRegion {
            region,
            named_by: AWS_REGION.to_owned(),
        });
    }
    let profile = text("AWS_PROFILE").unwrap_or_else(|| "default".to_owned());
    let in_home = || Some(PathBuf::from(text("HOME")?).join(".aws/config"));
    let path = text("AWS_CONFIG_FILE")
        .map(PathBuf::from)
        .or_else(in_home)?;
    // Reading a pipe would block.
    let is_file = std::fs::metadata(&path).is_ok_and(|file| file.is_file());
    let file = is_file.then(|| std::fs::read_to_string(&path).ok())??;
    let region = profile_region(&file, &profile)?.to_owned();
    Some(CliRegion {
        region,
        named_by: format!("the AWS profile {profile}"),
    })
}

/// Finds a profile's region in a file of the AWS CLI (AWS CLI User Guide, "Configuration and credential file
/// settings").
fn profile_region<'a>(file: &'a str, profile: &str) -> Option<&'a str> {
    let mut is_ours = false;
    for line in file.lines() {
        let bare = line.trim();
        if let Some(section) = bare.strip_prefix('[').and_then(|s| s.split(']').next()) {
            // Only the default profile needs no prefix.
            is_ours = match section.trim().strip_prefix("profile ") {
                Some(name) => name.trim() == profile,
                None => section.trim() == "default" && profile == "default",
            };
        } else if is_ours
            // An indented line belongs to the setting above.
            && !line.starts_with([' ', '\t'])
            && let Some((name, value)) = bare.split_once('=')
            && name.trim() == "region"
        {
            return Some(value.trim()).filter(|value| !value.is_empty());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profiles_region_is_found() {
        let file = "[default]\nregion = eu-west-1\n\n[profile ci]\noutput=json\ns3 =\n  region = x\nregion=ap-south-1 \n[profile empty]\n[bare]\nregion = eu-north-1\n";
        assert_eq!(profile_region(file, "default"), Some("eu-west-1"));
        assert_eq!(profile_region(file, "ci"), Some("ap-south-1"));
        assert_eq!(profile_region(file, "bare"), None);
        assert_eq!(profile_region(file, "empty"), None);
        assert_eq!(profile_region(file, "none"), None);
    }
}
