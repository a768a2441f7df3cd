-- Which of these exports there are.
SELECT id FROM exports WHERE id = ANY (%s)
