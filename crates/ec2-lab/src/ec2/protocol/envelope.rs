//! The envelope of answers and errors: EC2's, and that of STS.

use crate::ec2::protocol::error::ApiError;
use crate::ec2::protocol::xml::Xml;

/// Returns whether an action belongs to STS, which the lab offers in addition to EC2.
pub(crate) fn is_of_sts(action: &str) -> bool {
    matches!(action, "GetAccessKeyInfo" | "GetCallerIdentity")
}

/// Wraps an answer in EC2's envelope, or in STS's for an action of STS.
pub(crate) fn envelope(action: &str, request_id: &str, body: &Xml) -> String {
    let mut xml = Xml::new();
    if is_of_sts(action) {
        let root = format!("{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"");
        xml.node(&root, |xml| {
            xml.node(&format!("{action}Result"), |xml| xml.append(body));
            xml.node("ResponseMetadata", |xml| xml.leaf("RequestId", request_id));
        });
    } else {
        let root = format!("{action}Response xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"");
        xml.node(&root, |xml| {
            xml.leaf("requestId", request_id);
            xml.append(body);
        });
    }
    xml.into_document()
}

/// Wraps an error in EC2's envelope, or in STS's for an action of STS.
pub(crate) fn error_envelope(action: &str, request_id: &str, error: &ApiError) -> String {
    let mut xml = Xml::new();
    let code_and_text = |xml: &mut Xml| {
        xml.leaf("Code", &error.code);
        xml.leaf("Message", &error.message);
    };
    if is_of_sts(action) {
        let root = "ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"";
        xml.node(root, |xml| {
            xml.node("Error", |xml| {
                xml.leaf("Type", "Sender");
                code_and_text(xml);
            });
            xml.leaf("RequestId", request_id);
        });
    } else {
        xml.node("Response", |xml| {
            xml.node("Errors", |xml| xml.node("Error", code_and_text));
            xml.leaf("RequestID", request_id);
        });
    }
    xml.into_document()
}
