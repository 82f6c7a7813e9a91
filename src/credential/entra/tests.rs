use super::super::tests::server::{Answer, Server};
use super::super::tests::{client, renewed};
use super::*;

const TOKEN: &str =
    r#"{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"ey.J"}"#;

fn application(authority: String, proof: Proof) -> Application {
    let scopes = vec![SCOPE.to_owned()];
    Application { authority, tenant_id: "t-1".into(), client_id: "c-1".into(), proof, scopes }
}

#[tokio::test]
async fn client_credentials_are_posted_to_the_tenant_of_the_authority() {
    let server = Server::start(|_| Answer::json(200, TOKEN)).await;
    let app = application(server.url("/"), Proof::Secret(Secret::new("s/1+=")));
    let entra = Entra::application(client(), app).unwrap();
    assert_eq!(renewed(entra).await.unwrap(), "authorization: Bearer ey.J");
    let seen = server.seen().remove(0);
    assert_eq!(seen.line, "POST /t-1/oauth2/v2.0/token");
    assert_eq!(
        seen.body,
        "grant_type=client_credentials&client_id=c-1\
         &scope=https%3A%2F%2Fcognitiveservices.azure.com%2F.default&client_secret=s%2F1%2B%3D"
    );
}

#[tokio::test]
async fn a_federated_token_file_proves_the_application() {
    let server = Server::start(|_| Answer::json(200, TOKEN)).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "cluster.jwt\n").unwrap();
    let app = application(server.url(""), Proof::FederatedFile(path));
    renewed(Entra::application(client(), app).unwrap()).await.unwrap();
    let seen = server.seen().remove(0);
    assert_eq!(seen.field("client_assertion").unwrap(), "cluster.jwt");
    assert_eq!(
        seen.field("client_assertion_type").unwrap(),
        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    );
    assert_eq!(seen.field("client_secret"), None);
}

#[tokio::test]
async fn a_machines_identity_comes_from_its_metadata_service() {
    // This one writes the lifetime as text.
    let server = Server::start(|_| Answer::json(200, r#"{"access_token":"mi","expires_in":"86399"}"#)).await;
    let managed = |client_id: Option<&str>, host| Managed {
        client_id: client_id.map(str::to_owned),
        scope: SCOPE.into(),
        host,
    };
    let machine = ManagedHost::VirtualMachine(server.url(""));
    let entra = Entra::managed(client(), managed(Some("u-1"), machine));
    assert_eq!(renewed(entra).await.unwrap(), "authorization: Bearer mi");
    let endpoint = server.url("/msi/token");
    let service = ManagedHost::from_environment(|name| match name {
        "IDENTITY_ENDPOINT" => Some(endpoint.clone()),
        "IDENTITY_HEADER" => Some("h".into()),
        _ => None,
    });
    renewed(Entra::managed(client(), managed(None, service))).await.unwrap();
    let seen = server.seen();
    let resource = "resource=https%3A%2F%2Fcognitiveservices.azure.com";
    assert_eq!(
        seen[0].line,
        format!("GET /metadata/identity/oauth2/token?api-version=2018-02-01&{resource}&client_id=u-1")
    );
    assert_eq!(seen[0].headers["metadata"], "true");
    assert_eq!(seen[1].line, format!("GET /msi/token?api-version=2019-08-01&{resource}"));
    assert_eq!(seen[1].headers["x-identity-header"], "h");
}

#[tokio::test]
async fn entras_reason_is_told() {
    let server = Server::start(|_| {
        Answer::json(401, r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret.\r\nTrace ID: 1"}"#)
    })
    .await;
    let app = application(server.url(""), Proof::Secret(Secret::new("hidden")));
    let error = renewed(Entra::application(client(), app).unwrap()).await.unwrap_err();
    assert!(
        error.contains("status 401: invalid_client: AADSTS7000215: Invalid client secret. Trace"),
        "{error}"
    );
    assert!(!error.contains("hidden"));
}

#[test]
fn what_cannot_work_is_refused_when_configured() {
    for tenant in ["", "a/b", "a?b", "a b"] {
        let mut app = application(AUTHORITY.into(), Proof::Secret(Secret::new("s")));
        app.tenant_id = tenant.into();
        assert!(Entra::application(client(), app).is_err(), "{tenant}");
    }
    let mut app = application(AUTHORITY.into(), Proof::Secret(Secret::new("s")));
    app.scopes.clear();
    assert!(Entra::application(client(), app).is_err());
}

#[test]
fn the_environment_names_an_application_only_when_it_is_complete() {
    let read = |names: &'static [&'static str]| {
        Application::from_environment(|name| names.contains(&name).then(|| format!("<{name}>")))
    };
    assert!(read(&["AZURE_TENANT_ID", "AZURE_CLIENT_ID"]).is_none());
    assert!(read(&["AZURE_TENANT_ID", "AZURE_CLIENT_SECRET"]).is_none());
    let app = read(&["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE"]).unwrap();
    assert!(matches!(app.proof, Proof::FederatedFile(_)) && app.authority == AUTHORITY);
    let all =
        read(&["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_AUTHORITY_HOST"]).unwrap();
    assert!(matches!(all.proof, Proof::Secret(_)) && all.authority == "<AZURE_AUTHORITY_HOST>");
}
