-- Jobs by queue and state, and for how long the one that is due longest has waited.
SELECT
    queue_name AS queue,
    status::text AS state,
    count(*) AS jobs,
    coalesce(extract(epoch FROM now() - min(due.at) FILTER (WHERE status = 'todo' AND due.at < now())), 0)::float8
        AS oldest_s
FROM procrastinate_jobs
CROSS JOIN LATERAL (
    SELECT coalesce(scheduled_at, max(event.at)) AS at
    FROM procrastinate_events AS event
    WHERE event.job_id = procrastinate_jobs.id AND event.type IN ('deferred', 'deferred_for_retry', 'retried')
) AS due
GROUP BY queue_name, status
ORDER BY queue_name, status
