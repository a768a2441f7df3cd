-- Forget a schedule.
DELETE FROM collect_schedules WHERE id = %s
