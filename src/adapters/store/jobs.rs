//! Durable jobs: asked for by people, run by whoever holds the index.

use sqlx::FromRow;

use super::{Store, StoreError, rows};
use crate::access::{Permit, Upkeep};
use crate::domain::{Job, JobId, JobState, ReindexTarget, TenantId, Timestamp};

#[derive(FromRow)]
struct JobRow {
    id: String,
    tenant: String,
    target: String,
    state: String,
    done: i64,
    total: i64,
    cancel_requested: i64,
    error: Option<String>,
    created_at: i64,
    ended_at: Option<i64>,
}

impl TryFrom<JobRow> for Job {
    type Error = StoreError;

    fn try_from(row: JobRow) -> Result<Self, StoreError> {
        Ok(Job {
            id: JobId::new(row.id),
            tenant: TenantId::new(row.tenant),
            target: serde_json::from_str(&row.target).map_err(|_| StoreError::Corrupt { what: "job target" })?,
            state: JobState::parse(&row.state).ok_or(StoreError::Corrupt { what: "job state" })?,
            done: rows::number(row.done, "job progress")?,
            total: rows::number(row.total, "job progress")?,
            cancel_requested: row.cancel_requested != 0,
            error: row.error,
            created_at: Timestamp::from_micros(row.created_at),
            ended_at: row.ended_at.map(Timestamp::from_micros),
        })
    }
}

const COLUMNS: &str = "SELECT id, tenant, target, state, done, total, cancel_requested, error, created_at, ended_at \
    FROM job WHERE id = $1";

impl Store {
    pub async fn queue_job(&self, permit: &Permit, target: &ReindexTarget) -> Result<Job, StoreError> {
        self.insert_job(permit.tenant(), target).await
    }

    /// The same by the command line, on the operator's own machine.
    pub async fn queue_job_for(
        &self,
        _upkeep: &Upkeep,
        tenant: &TenantId,
        target: &ReindexTarget,
    ) -> Result<Job, StoreError> {
        self.insert_job(tenant, target).await
    }

    async fn insert_job(&self, tenant: &TenantId, target: &ReindexTarget) -> Result<Job, StoreError> {
        const QUEUE: &str = "INSERT INTO job (id, tenant, target, state, done, total, cancel_requested, created_at) \
            VALUES ($1, $2, $3, 'queued', 0, 0, 0, $4)";
        let job = Job {
            id: JobId::fresh(),
            tenant: tenant.clone(),
            target: target.clone(),
            state: JobState::Queued,
            done: 0,
            total: 0,
            cancel_requested: false,
            error: None,
            created_at: Timestamp::now(),
            ended_at: None,
        };
        let mut transaction = self.begin_write().await?;
        sqlx::query(QUEUE)
            .bind(job.id.as_str())
            .bind(tenant.as_str())
            .bind(serde_json::to_string(target).expect("plain values always serialize"))
            .bind(job.created_at.as_micros())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(job)
    }

    /// The newest jobs of the tenant, newest first.
    pub async fn jobs(&self, permit: &Permit, limit: i64) -> Result<Vec<Job>, StoreError> {
        const NEWEST: &str = "SELECT id, tenant, target, state, done, total, cancel_requested, error, created_at, \
            ended_at FROM job WHERE tenant = $1 ORDER BY id DESC LIMIT $2";
        let rows: Vec<JobRow> =
            sqlx::query_as(NEWEST).bind(permit.tenant().as_str()).bind(limit).fetch_all(&self.reader).await?;
        rows.into_iter().map(Job::try_from).collect()
    }

    pub async fn job(&self, permit: &Permit, id: &JobId) -> Result<Option<Job>, StoreError> {
        Ok(self.job_by_id(id).await?.filter(|job| job.tenant == *permit.tenant()))
    }

    /// Asks a job to stop; it does so between two documents. `None` when there is no such job.
    pub async fn cancel_job(&self, permit: &Permit, id: &JobId) -> Result<Option<Job>, StoreError> {
        const CANCEL: &str = "UPDATE job SET cancel_requested = 1 WHERE id = $1 AND tenant = $2 \
            AND state IN ('queued', 'running')";
        let mut transaction = self.begin_write().await?;
        sqlx::query(CANCEL).bind(id.as_str()).bind(permit.tenant().as_str()).execute(&mut *transaction).await?;
        transaction.commit().await?;
        self.job(permit, id).await
    }

    /// The oldest job that waits, or that was under way when its runner stopped.
    pub async fn next_job(&self, _upkeep: &Upkeep) -> Result<Option<Job>, StoreError> {
        const NEXT: &str = "SELECT id FROM job WHERE state IN ('queued', 'running') ORDER BY id LIMIT 1";
        let id: Option<String> = sqlx::query_scalar(NEXT).fetch_optional(&self.reader).await?;
        match id {
            Some(id) => self.job_by_id(&JobId::new(id)).await,
            None => Ok(None),
        }
    }

    pub async fn job_state(&self, _upkeep: &Upkeep, id: &JobId) -> Result<Option<Job>, StoreError> {
        self.job_by_id(id).await
    }

    /// Records progress; returns whether the job was asked to stop.
    pub async fn advance_job(&self, _upkeep: &Upkeep, id: &JobId, done: u64, total: u64) -> Result<bool, StoreError> {
        const ADVANCE: &str = "UPDATE job SET state = 'running', done = $1, total = $2 WHERE id = $3 \
            RETURNING cancel_requested";
        let mut transaction = self.begin_write().await?;
        let cancel: i64 = sqlx::query_scalar(ADVANCE)
            .bind(i64::try_from(done).unwrap_or(i64::MAX))
            .bind(i64::try_from(total).unwrap_or(i64::MAX))
            .bind(id.as_str())
            .fetch_one(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(cancel != 0)
    }

    pub async fn end_job(
        &self,
        _upkeep: &Upkeep,
        id: &JobId,
        state: JobState,
        error: Option<&str>,
    ) -> Result<(), StoreError> {
        const END: &str = "UPDATE job SET state = $1, error = $2, ended_at = $3 WHERE id = $4";
        let mut transaction = self.begin_write().await?;
        sqlx::query(END)
            .bind(state.as_str())
            .bind(error)
            .bind(Timestamp::now().as_micros())
            .bind(id.as_str())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn job_by_id(&self, id: &JobId) -> Result<Option<Job>, StoreError> {
        let row: Option<JobRow> = sqlx::query_as(COLUMNS).bind(id.as_str()).fetch_optional(&self.reader).await?;
        row.map(Job::try_from).transpose()
    }
}
