//! Key pairs, imported or generated. Keeps the public keys: the hosts authorize them.

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use russh::keys::{Algorithm, HashAlg, PrivateKey, PublicKey};

use crate::ec2::faults::consistency::Kind;
use crate::ec2::protocol::error::ApiError;
use crate::ec2::protocol::filters::{Filters, IdKind};
use crate::ec2::protocol::query::Params;
use crate::ec2::protocol::time::iso;
use crate::ec2::protocol::xml::Xml;
use crate::ec2::resources::state::{Cx, tag_set};
use crate::ec2::resources::tags;

pub(crate) const KEY: IdKind = IdKind {
    prefix: "key-",
    code: "InvalidKeyPair",
    noun: "key pair",
};

/// A key pair.
#[derive(Debug, Clone)]
pub struct KeyPair {
    /// `key-…`.
    pub id: String,
    /// Unique in its region.
    pub name: String,
    /// The fingerprint in EC2's format: SHA-256 in base64 for ed25519, MD5 of the public key in DER for an imported
    /// RSA key.
    pub fingerprint: String,
    /// `rsa` or `ed25519`.
    pub key_type: String,
    /// The public key in OpenSSH format.
    pub public_key: String,
    /// Its creation time.
    pub created: SystemTime,
}

pub(crate) fn import(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let name = params.need("KeyName")?;
    let material = params.need("PublicKeyMaterial")?;
    let bad = || {
        ApiError::new(
            "InvalidKey.Format",
            "Key is not in valid OpenSSH public key format",
        )
    };
    let decoded = STANDARD.decode(material).map_err(|_| bad())?;
    let text = String::from_utf8(decoded).map_err(|_| bad())?;
    let key = PublicKey::from_openssh(text.trim()).map_err(|_| bad())?;
    let (key_type, fingerprint) = match key.algorithm() {
        Algorithm::Ed25519 => ("ed25519", sha256(&key)),
        Algorithm::Rsa { .. } => ("rsa", rsa_md5(&key).ok_or_else(bad)?),
        _ => return Err(bad()),
    };
    check_name(cx, name)?;
    let tags = tags::of_new(params, "key-pair", &["key-pair"])?;
    tags::dry_run(params)?;
    let pair = KeyPair {
        id: cx.shared.ids.id("key-"),
        name: name.to_owned(),
        fingerprint,
        key_type: key_type.to_owned(),
        public_key: text.trim().to_owned(),
        created: cx.now,
    };
    Ok(keep(cx, pair, tags))
}

pub(crate) fn create(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let name = params.need("KeyName")?;
    check_name(cx, name)?;
    let tags = tags::of_new(params, "key-pair", &["key-pair"])?;
    let key_type = params.get("KeyType").unwrap_or("rsa");
    if !matches!(key_type, "rsa" | "ed25519") {
        return Err(ApiError::invalid("keyType", key_type));
    }
    tags::dry_run(params)?;
    // Generating an RSA key takes seconds in a debug build, and no test requires one: both types get an ed25519 key,
    // reported as the requested type.
    let private = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519)
        .map_err(|e| ApiError::new("InternalError", e.to_string()))?;
    let internal = |e: russh::keys::ssh_key::Error| ApiError::new("InternalError", e.to_string());
    let material = private
        .to_openssh(russh::keys::ssh_key::LineEnding::LF)
        .map_err(internal)?;
    let pair = KeyPair {
        id: cx.shared.ids.id("key-"),
        name: name.to_owned(),
        fingerprint: sha256(private.public_key()),
        key_type: "ed25519".to_owned(),
        public_key: private.public_key().to_openssh().map_err(internal)?,
        created: cx.now,
    };
    let mut xml = keep(cx, pair, tags);
    xml.leaf("keyMaterial", material.as_str());
    Ok(xml)
}

fn check_name(cx: &Cx<'_>, name: &str) -> Result<(), ApiError> {
    if name.len() > 255 || !name.is_ascii() {
        return Err(ApiError::invalid("KeyName", name));
    }
    if cx.region.keys.contains_key(name) {
        return Err(ApiError::new(
            "InvalidKeyPair.Duplicate",
            format!("The keypair '{name}' already exists."),
        ));
    }
    Ok(())
}

fn keep(cx: &mut Cx<'_>, pair: KeyPair, tags: crate::ec2::resources::state::Tags) -> Xml {
    let mut xml = Xml::new();
    xml.leaf("keyName", &pair.name);
    xml.leaf("keyFingerprint", &pair.fingerprint);
    xml.leaf("keyPairId", &pair.id);
    tag_set(&mut xml, &tags);
    cx.born(Kind::KeyPair, &pair.name);
    cx.tag_new(&pair.id, tags);
    cx.region.keys.insert(pair.name.clone(), pair);
    xml
}

/// Deletes by name or id. Succeeds for an unknown one, as on EC2.
pub(crate) fn delete(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let name = match (params.get("KeyName"), params.get("KeyPairId")) {
        (Some(name), _) => Some(name.to_owned()),
        (None, Some(id)) => {
            let named = cx.region.keys.values().find(|k| k.id == id);
            named.map(|k| k.name.clone())
        }
        (None, None) => return Err(ApiError::missing("keyName or keyPairId")),
    };
    tags::dry_run(params)?;
    let mut xml = Xml::done();
    if let Some(pair) = name.and_then(|n| cx.region.keys.remove(&n)) {
        cx.region.tags.remove(&pair.id);
        xml.leaf("keyPairId", &pair.id);
    }
    Ok(xml)
}

pub(crate) fn describe(cx: &mut Cx<'_>, params: &Params) -> Result<Xml, ApiError> {
    let filters = Filters::parse(params, &["key-name", "key-pair-id", "fingerprint"])?;
    let (names, ids) = (params.list("KeyName"), params.list("KeyPairId"));
    let seen = |k: &KeyPair| cx.sees(Kind::KeyPair, &k.name);
    if let Some(unknown) = names
        .iter()
        .find(|n| !cx.region.keys.get(**n).is_some_and(seen))
    {
        return Err(KEY.not_found(&[unknown]));
    }
    KEY.check(ids.iter().copied(), |id| {
        cx.region.keys.values().any(|k| k.id == id && seen(k))
    })?;
    let with_key = params.flag("IncludePublicKey")? == Some(true);
    let found: Vec<&KeyPair> = cx
        .region
        .keys
        .values()
        .filter(|k| names.is_empty() || names.contains(&k.name.as_str()))
        .filter(|k| ids.is_empty() || ids.contains(&k.id.as_str()))
        .filter(|k| {
            filters.pass(&cx.tags(&k.id), |name| {
                vec![match name {
                    "key-name" => k.name.clone(),
                    "key-pair-id" => k.id.clone(),
                    _ => k.fingerprint.clone(),
                }]
            })
        })
        .filter(|k| seen(k))
        .collect();
    let mut xml = Xml::new();
    xml.list("keySet", found, |xml, k| {
        xml.leaf("keyPairId", &k.id);
        xml.leaf("keyFingerprint", &k.fingerprint);
        xml.leaf("keyName", &k.name);
        xml.leaf("keyType", &k.key_type);
        xml.leaf("createTime", iso(k.created));
        if with_key {
            xml.leaf("publicKey", &k.public_key);
        }
        tag_set(xml, &cx.tags(&k.id));
    });
    Ok(xml)
}

fn sha256(key: &PublicKey) -> String {
    STANDARD.encode(key.fingerprint(HashAlg::Sha256).as_bytes())
}

/// Returns the MD5 of the DER form (RFC 5280 SubjectPublicKeyInfo), in hexadecimal with colons.
fn rsa_md5(key: &PublicKey) -> Option<String> {
    let rsa = key.key_data().rsa()?;
    let numbers = [der(2, rsa.n().as_bytes()), der(2, rsa.e().as_bytes())].concat();
    let bits = [vec![0], der(0x30, &numbers)].concat();
    // rsaEncryption, 1.2.840.113549.1.1.1, with NULL parameters.
    let algorithm = [
        0x30, 0x0d, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0,
    ];
    let info = der(0x30, &[algorithm.to_vec(), der(3, &bits)].concat());
    let digest = md5::compute(info);
    let pairs: Vec<String> = digest.iter().map(|b| format!("{b:02x}")).collect();
    Some(pairs.join(":"))
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let significant: Vec<u8> = length.into_iter().skip_while(|b| *b == 0).collect();
    let mut out = vec![tag];
    if content.len() < 0x80 {
        out.extend(content.len().to_be_bytes().last());
    } else {
        out.push(0x80 | u8::try_from(significant.len()).unwrap_or(8));
        out.extend(significant);
    }
    out.extend_from_slice(content);
    out
}
