//! Amazon's signature of a request, version 4, for Bedrock.

use std::time::SystemTime;

use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::super::Failure;
use super::exchange::inexpressible;

/// Bedrock's name in a signature's scope.
const SERVICE: &str = "bedrock";

/// What a request is signed with; it is not sent, save the access key's name and the token.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    /// The access key's id.
    pub(super) access_key: SecretString,
    /// The secret access key.
    pub(super) secret_key: SecretString,
    /// The token of credentials that hold for a time.
    pub(super) session_token: Option<SecretString>,
}

/// A request before its signature.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unsigned<'a> {
    /// `POST` or `GET`.
    pub(super) method: &'a str,
    /// The address as it is sent, percent-encoded once.
    pub(super) url: &'a str,
    /// Headers that are signed too; the host's is signed without being named.
    pub(super) headers: &'a [(&'a str, &'a str)],
    /// The body's bytes.
    pub(super) body: &'a [u8],
}

impl Credentials {
    /// Reads a key as a plan's key source holds it: `ID:SECRET`, `ID:SECRET:TOKEN`, or the JSON that
    /// `aws configure export-credentials` writes. None where it is neither: a bearer token, which needs no signature.
    pub(super) fn of(key: &SecretString) -> Option<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Exported {
            access_key_id: SecretText,
            secret_access_key: SecretText,
            session_token: Option<SecretText>,
        }
        let text = key.expose_secret().trim();
        if text.starts_with('{') {
            let told: Exported = serde_json::from_str(text).ok()?;
            return Some(Self {
                access_key: told.access_key_id.0,
                secret_key: told.secret_access_key.0,
                session_token: told.session_token.map(|token| token.0),
            });
        }
        let mut parts = text.splitn(3, ':').map(SecretString::from);
        Some(Self { access_key: parts.next()?, secret_key: parts.next()?, session_token: parts.next() })
    }
}

/// A secret as it is read from JSON; it has no way back.
struct SecretText(SecretString);

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: serde::Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        String::deserialize(source).map(|text| Self(text.into()))
    }
}

/// The headers that sign a request to Bedrock in a region at a time: `x-amz-date`, `authorization`, and
/// `x-amz-security-token` where there is a token. A signature holds for five minutes.
///
/// # Errors
/// [`CauseKind::Refused`](crate::domain::CauseKind::Refused) where the address or a header cannot be written.
pub(super) fn sign(
    credentials: &Credentials,
    region: &str,
    request: &Unsigned<'_>,
    at: SystemTime,
) -> Result<Vec<(&'static str, String)>, Failure> {
    sign_for((region, SERVICE), credentials, request, at)
}

fn sign_for(
    (region, service): (&str, &str),
    credentials: &Credentials,
    request: &Unsigned<'_>,
    at: SystemTime,
) -> Result<Vec<(&'static str, String)>, Failure> {
    let unsigned = |fault: &dyn std::fmt::Display| inexpressible(format!("the request could not be signed: {fault}"));
    let identity: Identity = aws_credential_types::Credentials::new(
        credentials.access_key.expose_secret(),
        credentials.secret_key.expose_secret(),
        credentials.session_token.as_ref().map(|token| token.expose_secret().to_owned()),
        None,
        "plan",
    )
    .into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service)
        .time(at)
        .settings(SigningSettings::default())
        .build()
        .map_err(|fault| unsigned(&fault))?
        .into();
    let headers = request.headers.iter().copied();
    let signable = SignableRequest::new(request.method, request.url, headers, SignableBody::Bytes(request.body))
        .map_err(|fault| unsigned(&fault))?;
    let signed = aws_sigv4::http_request::sign(signable, &params).map_err(|fault| unsigned(&fault))?;
    let (headers, _) = signed.into_parts().0.into_parts();
    Ok(headers.into_iter().map(|header| (header.name(), header.value().to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    // Amazon's public test suite for signatures, version 4 (docs.aws.amazon.com, "Signature Version 4 test suite";
    // awslabs/aws-c-auth, tests/aws-signing-test-suite/v4): each case's context.json, request.txt and header-signed-request.txt.
    const KEY: &str = "AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    /// 2015-08-30T12:36:00Z.
    const AT: u64 = 1_440_938_160;

    fn signed(key: &str, scope: (&str, &str), request: Unsigned<'_>, at: u64) -> Vec<(&'static str, String)> {
        let credentials = Credentials::of(&key.into()).unwrap();
        let mut headers = sign_for(scope, &credentials, &request, UNIX_EPOCH + Duration::from_secs(at)).unwrap();
        headers.sort();
        headers
    }

    fn headers(told: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
        told.iter().map(|&(name, value)| (name, value.to_owned())).collect()
    }

    #[test]
    fn the_published_vanilla_requests_get_their_published_signatures() {
        for (method, signature) in [
            ("GET", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            ("POST", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        ] {
            let request = Unsigned { method, url: "https://example.amazonaws.com/", headers: &[], body: b"" };
            let scope = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request";
            let expected = headers(&[
                ("authorization", &format!("{scope}, SignedHeaders=host;x-amz-date, Signature={signature}")),
                ("x-amz-date", "20150830T123600Z"),
            ]);
            assert_eq!(signed(KEY, ("us-east-1", "service"), request, AT), expected, "{method}");
        }
    }

    #[test]
    fn a_session_token_is_signed_and_sent() {
        let token = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";
        let request = Unsigned { method: "GET", url: "https://example.amazonaws.com/", headers: &[], body: b"" };
        let expected = headers(&[
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                 SignedHeaders=host;x-amz-date;x-amz-security-token, \
                 Signature=07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
            ),
            ("x-amz-date", "20150830T123600Z"),
            ("x-amz-security-token", token),
        ]);
        assert_eq!(signed(&format!("{KEY}:{token}"), ("us-east-1", "service"), request, AT), expected);
    }

    #[test]
    fn headers_and_the_body_are_signed() {
        // The case post-x-www-form-urlencoded, which also sends its body's digest as a header.
        let request = Unsigned {
            method: "POST",
            url: "https://example.amazonaws.com/",
            headers: &[
                ("content-type", "application/x-www-form-urlencoded"),
                ("content-length", "13"),
                ("x-amz-content-sha256", "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"),
            ],
            body: b"Param1=value1",
        };
        let found = signed(KEY, ("us-east-1", "service"), request, AT);
        let signature = "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b";
        assert!(found[0].1.ends_with(signature), "{found:?}");
        let other = signed(KEY, ("us-east-1", "service"), Unsigned { body: b"Param1=value2", ..request }, AT);
        assert!(!other[0].1.ends_with(signature));
    }

    #[test]
    fn an_encoded_path_is_encoded_once_more_for_the_signature() {
        // The suite's double-url-encode, at 2021-05-11T15:40:45Z: a colon in a path, as in a Bedrock model's name.
        let url = concat!(
            "https://lambda.us-east-2.amazonaws.com/2015-03-31/functions/",
            "arn%3Aaws%3Alambda%3Aus-west-2%3A892717189312%3Afunction%3Amy-rusty-fun/invocations",
        );
        let request = Unsigned { method: "POST", url, headers: &[], body: b"" };
        let found = signed(KEY, ("us-east-2", "lambda"), request, 1_620_747_645);
        let signature = "4b93abbcc68be32bd64c18e2c71150660ab4c29bbd6c32a383a7517a88fc1804";
        assert!(found[0].1.ends_with(signature), "{found:?}");
    }

    #[test]
    fn keys_are_read_in_both_forms_and_a_bearer_token_is_none() {
        let exported = concat!(
            r#"{"Version": 1, "AccessKeyId": "AKID", "SecretAccessKey": "s/+e", "SessionToken": "t:o","#,
            r#" "Expiration": "2026-01-01T00:00:00Z"}"#,
        );
        for text in [exported, "AKID:s/+e:t:o\n"] {
            let key = Credentials::of(&text.into()).unwrap();
            assert_eq!(key.access_key.expose_secret(), "AKID");
            assert_eq!(key.secret_key.expose_secret(), "s/+e");
            assert_eq!(key.session_token.as_ref().map(ExposeSecret::expose_secret), Some("t:o"));
            assert!(!format!("{key:?}").contains("s/+e"), "a secret is not shown");
        }
        assert!(Credentials::of(&"AKID:secret".into()).unwrap().session_token.is_none());
        assert!(Credentials::of(&"bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29t".into()).is_none());
    }

    #[test]
    fn a_request_to_bedrock_is_signed_as_amazons_python_client_signs_it() {
        // The signatures are those of botocore 1.43.11 (SigV4Auth) for the same keys, time and requests.
        let url = "https://bedrock-runtime.eu-west-3.amazonaws.com/model/mistral.mistral-large-2407-v1%3A0/converse";
        let request = Unsigned { method: "POST", url, headers: &[("content-type", "application/json")], body: b"{}" };
        let signature_of = |key: &str, request: &Unsigned<'_>| {
            let at = UNIX_EPOCH + Duration::from_secs(AT);
            let found = sign(&Credentials::of(&key.into()).unwrap(), "eu-west-3", request, at).unwrap();
            found.into_iter().find(|(name, _)| *name == "authorization").unwrap().1
        };
        assert_eq!(
            signature_of(KEY, &request),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/eu-west-3/bedrock/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date, \
             Signature=c1ab5eb0b469675a06461a7412bcbc5ac9861e044ec1ad35bdbf729fdca49c7d",
        );
        assert_eq!(
            signature_of(&format!("{KEY}:tok/en+="), &Unsigned { body: "{\"a\":\"é\"}".as_bytes(), ..request }),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/eu-west-3/bedrock/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, \
             Signature=796362bf8251c0b2795c59f5f5375f64f6c477da92c788fb02b8799ba8de5a52",
        );
    }

    #[test]
    fn an_address_that_is_none_is_not_signed() {
        let request = Unsigned { method: "POST", url: "no address", headers: &[], body: b"" };
        let failure = sign(&Credentials::of(&KEY.into()).unwrap(), "eu-west-3", &request, UNIX_EPOCH).unwrap_err();
        assert!(failure.message.starts_with("the request could not be signed"), "{failure}");
    }
}
