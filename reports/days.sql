-- title: Days and weeks
-- description: All runs together by the day (or week, month) on which they were analyzed: runs, persons, faces, and the mean of
-- the runs' happy, sad and positivity, each run counting the same. Persons of different runs are never matched.
-- parameter by: text = day: day, week or month
-- plot: line start positivity happy sad
WITH each AS (
    SELECT
        run, count(DISTINCT person) AS persons, count(*) AS faces, avg(happy) FILTER (WHERE usable) AS happy,
        avg(sad) FILTER (WHERE usable) AS sad,
        avg(happy) FILTER (WHERE usable) - greatest(
            avg(angry) FILTER (WHERE usable), avg(disgust) FILTER (WHERE usable), avg(fear) FILTER (WHERE usable),
            avg(sad) FILTER (WHERE usable)) AS positivity
    FROM faces GROUP BY run
)
SELECT
    date_trunc($by, started)::DATE AS start, count(*) AS runs, sum(each.persons)::BIGINT AS persons, sum(each.faces)::BIGINT AS faces,
    avg(happy) AS happy, avg(sad) AS sad, avg(positivity) AS positivity, stddev_samp(positivity) AS positivity_spread
FROM runs JOIN each USING (run) GROUP BY ALL ORDER BY start
