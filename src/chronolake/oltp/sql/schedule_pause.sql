-- Pause a schedule, or let it go on.
UPDATE collect_schedules SET paused = %(paused)s WHERE id = %(id)s
