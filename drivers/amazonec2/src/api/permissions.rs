//! Permissions: what AWS's message of a denial says was missing, and how to allow it.

/// Permissions to use a KMS key for volumes (Amazon EBS User Guide, "Required permissions for EBS encryption").
pub(crate) const KMS_GRANTS: &str = "where volumes are encrypted, the KMS key must be enabled, and its policy must allow kms:CreateGrant, \
     kms:GenerateDataKeyWithoutPlaintext, kms:Decrypt, kms:ReEncrypt* and kms:DescribeKey; for a spot instance, the role \
     AWSServiceRoleForEC2Spot needs a grant besides";

/// Returns a hint about the permission for an action that AWS denied with a message.
pub(crate) fn policy_hint(action: &str, message: &str) -> String {
    let statement = statement(action, message);
    match message.contains("explicit deny") {
        // AWS names the kind of policy: identity-based, service control, boundary…
        true => format!(
            "a policy denies it explicitly, and no permission helps against that; in the policy that AWS names, except {statement}"
        ),
        false => format!("allow it with the policy statement {statement}"),
    }
}

/// Returns the smallest policy statement that allows the call. AWS's message names action and resource, unless the
/// account's policies hide them.
fn statement(action: &str, message: &str) -> String {
    let action = after(message, "not authorized to perform: ")
        .map_or_else(|| format!("ec2:{action}"), str::to_owned);
    let resource = after(message, "on resource: ").unwrap_or("*");
    serde_json::json!({"Effect": "Allow", "Action": action, "Resource": resource}).to_string()
}

/// Returns the denied action and the type of its resource from AWS's message, such as `ec2:CreateTags` and `volume`.
/// Returns `None` if the message hides them.
pub(crate) fn denied_on(message: &str) -> Option<(&str, Option<&str>)> {
    let action = after(message, "not authorized to perform: ")?;
    // arn:PARTITION:ec2:REGION:ACCOUNT:TYPE/ID
    let kind = after(message, "on resource: ")
        .and_then(|arn| arn.split(':').nth(5))
        .and_then(|resource| resource.split('/').next());
    Some((action, kind))
}

fn after<'a>(message: &'a str, mark: &str) -> Option<&'a str> {
    let (_, rest) = message.split_once(mark)?;
    let word = rest.split_whitespace().next()?;
    Some(word.trim_end_matches(['.', ',']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_as_small_as_awss_words_allow() {
        let message = "You are not authorized to perform this operation. User: arn:aws:iam::1:user/u is not \
                       authorized to perform: ec2:CreateTags on resource: arn:aws:ec2:r:1:instance/* because no policy";
        assert_eq!(
            statement("RunInstances", message),
            r#"{"Effect":"Allow","Action":"ec2:CreateTags","Resource":"arn:aws:ec2:r:1:instance/*"}"#
        );
        assert_eq!(
            statement(
                "RunInstances",
                "You are not authorized to perform this operation."
            ),
            r#"{"Effect":"Allow","Action":"ec2:RunInstances","Resource":"*"}"#
        );
    }
}
