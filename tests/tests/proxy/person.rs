//! The person who answers questions.

use std::time::Duration;

use gateway_user::approve::Approver;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::fixture::{Proxy, SOON};

impl Proxy {
    /// Waits for so many questions, as people see them, oldest first.
    pub(crate) async fn questions(&self, count: usize) -> anyhow::Result<Vec<Value>> {
        let asking = async {
            loop {
                let waiting = self.gateway.approvals.list().await?;
                if waiting.len() >= count {
                    let questions = waiting.iter().map(serde_json::to_value);
                    return Ok(questions.collect::<Result<_, _>>()?);
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(SOON, asking).await?
    }

    /// Waits for a question and answers the newest with yes.
    pub(crate) async fn approve(&self) -> anyhow::Result<()> {
        self.answer(self.questions(1).await?.last(), None).await
    }

    /// Waits for a question and answers the newest with no.
    pub(crate) async fn deny(&self, reason: &str) -> anyhow::Result<()> {
        self.answer(self.questions(1).await?.last(), Some(reason))
            .await
    }

    /// Answers a question: with no, where there is a reason.
    pub(crate) async fn answer(
        &self,
        question: Option<&Value>,
        no: Option<&str>,
    ) -> anyhow::Result<()> {
        let id = question.and_then(|question| question["id"].as_str());
        let id = id.unwrap_or_default();
        let by = Approver {
            name: "somebody".to_owned(),
            uid: 0,
        };
        let approvals = &self.gateway.approvals;
        match no {
            Some(reason) => approvals.deny(id, by, Some(reason.to_owned())).await?,
            None => approvals.approve(id, by, None).await?,
        };
        Ok(())
    }
}
