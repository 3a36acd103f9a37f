-- title: Transitions between expressions
-- description: How long persons kept an expression and what came next. A spell is an unbroken sequence of usable faces of one
-- track with the same largest expression; next is the expression of the spell that follows in that track, NULL where the
-- track ends or the face could not be read. times: how often, median_s: usual length of the spell, persons: how many.
-- parameter least: number = 0.4: shorter spells, in seconds, are left out
-- plot: heat next expression times
WITH marked AS (
    SELECT
        faces.run, faces.track, person, faces.frame, faces.time_s, faces.time_s + coalesce(shown_s, 0) AS end_s, usable,
        CASE WHEN expression = lag(expression) OVER by_time THEN 0 ELSE 1 END AS starts, expression
    FROM faces JOIN (SELECT run, frame, shown_s FROM frames) AS shown USING (run, frame)
    WHERE faces.track IS NOT NULL
    WINDOW by_time AS (PARTITION BY faces.run, faces.track ORDER BY faces.frame)
),
numbered AS (
    SELECT *, sum(starts) OVER (PARTITION BY run, track ORDER BY frame) AS spell FROM marked
),
short AS (
    SELECT
        run, track, spell, any_value(person) AS person, any_value(expression) AS expression, min(time_s) AS start_s,
        max(end_s) AS end_s, any_value(usable) AS usable
    FROM numbered GROUP BY run, track, spell HAVING max(end_s) - min(time_s) >= $least
),
joined AS (  -- what a short spell had parted
    SELECT *, CASE WHEN expression = lag(expression) OVER (PARTITION BY run, track ORDER BY spell) THEN 0 ELSE 1 END AS starts
    FROM short
),
spells AS (
    SELECT
        run, track, part, any_value(person) AS person, any_value(expression) AS expression,
        max(end_s) - min(start_s) AS length_s, any_value(usable) AS usable
    FROM (SELECT *, sum(starts) OVER (PARTITION BY run, track ORDER BY spell) AS part FROM joined)
    GROUP BY run, track, part
),
followed AS (
    SELECT *, lead(expression) OVER (PARTITION BY run, track ORDER BY part) AS next FROM spells
)
SELECT
    run, expression, nullif(next, 'uncertain') AS next, count(*) AS times, median(length_s) AS median_s,
    quantile_cont(length_s, 0.9) AS longest_tenth_s, count(DISTINCT person) AS persons
FROM followed WHERE usable
GROUP BY run, expression, nullif(next, 'uncertain') ORDER BY run, expression, times DESC, next
