-- A position past every other.
SELECT nextval('task_position')
