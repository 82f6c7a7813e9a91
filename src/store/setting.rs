//! Small values by name: salts, tokens, who is logged in.

use super::audit::Action;
use super::error::StoreError;
use super::record;
use super::sql::Work;

pub(super) async fn get(work: &mut Work, name: &str) -> Result<Option<String>, StoreError> {
    let row = work.row("SELECT value FROM bifrost_settings WHERE name = $1", &[name.into()]).await?;
    row.map(|row| row.text(0)).transpose()
}

/// Compared by bytes, so that no character of a name is a pattern.
pub(super) async fn under(work: &mut Work, prefix: &str) -> Result<Vec<(String, String)>, StoreError> {
    let text =
        "SELECT name, value FROM bifrost_settings WHERE substr(name, 1, length($1)) = $1 ORDER BY name";
    let rows = work.rows(text, &[prefix.into()]).await?;
    rows.iter().map(|row| Ok((row.text(0)?, row.text(1)?))).collect()
}

pub(super) async fn set(
    work: &mut Work,
    (name, value): (&str, &str),
    told: Option<&Action>,
) -> Result<(), StoreError> {
    let text = "INSERT INTO bifrost_settings (name, value) VALUES ($1, $2) \
        ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    work.execute(text, &[name.into(), value.into()]).await?;
    tell(work, told).await
}

pub(super) async fn get_or(work: &mut Work, name: &str, value: &str) -> Result<String, StoreError> {
    let text = "INSERT INTO bifrost_settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
    work.execute(text, &[name.into(), value.into()]).await?;
    Ok(get(work, name).await?.unwrap_or_default())
}

pub(super) async fn take(work: &mut Work, name: &str, told: Option<&Action>) -> Result<bool, StoreError> {
    let taken = work.execute("DELETE FROM bifrost_settings WHERE name = $1", &[name.into()]).await? > 0;
    if taken {
        tell(work, told).await?;
    }
    Ok(taken)
}

async fn tell(work: &mut Work, told: Option<&Action>) -> Result<(), StoreError> {
    match told {
        Some(told) => record::append(work, told).await.map(drop),
        None => Ok(()),
    }
}
