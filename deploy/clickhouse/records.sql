-- Spillway's records in ClickHouse. Run this script in the database, with
--   clickhouse client --database D --queries-file records.sql
-- It is generated from the columns of the store (make generate). After an update
-- with new columns, add them with ALTER TABLE requests ADD COLUMN.
-- On a cluster use ENGINE = ReplicatedMergeTree, which deduplicates by itself:
-- non_replicated_deduplication_window is for a single server.

CREATE TABLE IF NOT EXISTS requests
(
    `time` DateTime64(6, 'UTC'),
    `id` String,
    `pool` LowCardinality(String),
    `caller` LowCardinality(String),
    `tenant` LowCardinality(String),
    `class` LowCardinality(String),
    `model` LowCardinality(String),
    `route` LowCardinality(String),
    `api` LowCardinality(String),
    `policy` LowCardinality(String),
    `traceparent` LowCardinality(String),
    `stream` Bool,
    `structured` Bool,
    `tools` Bool,
    `choices` Int64,
    `service_tier` LowCardinality(String),
    `client_retry` Int64,
    `ask_tokens` Nullable(Int64),
    `prompt_estimate_tokens` Int64,
    `window_ms` Nullable(Float64),
    `ttft_objective_ms` Nullable(Float64),
    `tbt_objective_ms` Nullable(Float64),
    `mode` LowCardinality(String),
    `budget_tokens` Nullable(Int64),
    `budget_basis` LowCardinality(String),
    `grant_tokens` Nullable(Int64),
    `observed_grant_tokens` Nullable(Int64),
    `spill` LowCardinality(String),
    `truncated` LowCardinality(String),
    `finish` LowCardinality(String),
    `outcome` LowCardinality(String),
    `refusal` LowCardinality(String),
    `status` Nullable(Int64),
    `queue_ms` Float64,
    `ttft_ms` Nullable(Float64),
    `e2e_ms` Float64,
    `tbt_mean_ms` Nullable(Float64),
    `tbt_max_ms` Nullable(Float64),
    `prompt_tokens` Nullable(Int64),
    `cached_tokens` Nullable(Int64),
    `completion_tokens` Nullable(Int64),
    `reasoning_tokens` Nullable(Int64),
    `usage_known` Bool,
    `usage_suspect` Bool,
    `deployment` LowCardinality(String),
    `region` LowCardinality(String),
    `kind` LowCardinality(String),
    `tier` Nullable(Int64),
    `utilization_ratio` Nullable(Float64),
    `cost_usd` Nullable(Float64),
    `attempt_count` Int64,
    `attempts` Array(Tuple(
        `deployment` LowCardinality(String),
        `region` LowCardinality(String),
        `kind` LowCardinality(String),
        `tier` Int64,
        `start_ms` Float64,
        `end_ms` Nullable(Float64),
        `ttft_ms` Nullable(Float64),
        `status` Nullable(Int64),
        `failure` LowCardinality(String),
        `retry_after_ms` Nullable(Float64),
        `grant_tokens` Nullable(Int64),
        `tokens` Int64,
        `utilization_ratio` Nullable(Float64),
        `cost_usd` Nullable(Float64),
        `hedge` Bool,
        `served_by` LowCardinality(String)))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (time, id)
TTL toDateTime(time) + INTERVAL 90 DAY
SETTINGS non_replicated_deduplication_window = 10000;

CREATE VIEW IF NOT EXISTS attempts AS
SELECT
    id AS request_id,
    time AS request_time,
    caller,
    tenant,
    class,
    model,
    number,
    attempt.deployment AS `deployment`,
    attempt.region AS `region`,
    attempt.kind AS `kind`,
    attempt.tier AS `tier`,
    attempt.start_ms AS `start_ms`,
    attempt.end_ms AS `end_ms`,
    attempt.ttft_ms AS `ttft_ms`,
    attempt.status AS `status`,
    attempt.failure AS `failure`,
    attempt.retry_after_ms AS `retry_after_ms`,
    attempt.grant_tokens AS `grant_tokens`,
    attempt.tokens AS `tokens`,
    attempt.utilization_ratio AS `utilization_ratio`,
    attempt.cost_usd AS `cost_usd`,
    attempt.hedge AS `hedge`,
    attempt.served_by AS `served_by`
FROM requests
ARRAY JOIN attempts AS attempt, arrayEnumerate(attempts) AS number;
